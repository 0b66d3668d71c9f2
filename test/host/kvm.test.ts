import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lookAtKvm } from '../../src/host/kvm.ts';
import { asStranger, IS_ROOT, scratch } from './scratch.ts';

/** Some group of this machine that is not root's. */
const NAMED = readFileSync('/etc/group', 'utf8')
  .split('\n')
  .map((line) => line.split(':'))
  .map(([name = '', , gid = '0']) => ({ name, gid: Number(gid) }))
  .find(({ gid }) => gid > 0) ?? { name: '', gid: 0 };

describe('lookAtKvm', () => {
  it('says that there is none, and what to do', () => {
    const device = join(scratch(), 'kvm');
    expect(lookAtKvm('alice', device)).toEqual({
      key: 'missing',
      fault: { usable: false, reason: `there is no ${device}`, help: expect.stringContaining('modprobe kvm_intel') },
    });
  });

  it('finds no fault with one that can be opened, and notices when it is made anew', () => {
    const device = join(scratch(), 'kvm');
    writeFileSync(device, '');
    const before = lookAtKvm('alice', device);
    expect(before.fault).toBeUndefined();
    chmodSync(device, 0o600);
    expect(lookAtKvm('alice', device).key).not.toBe(before.key);
  });

  it.skipIf(!IS_ROOT).each([
    [
      0o660,
      NAMED.gid,
      `add yourself to the group ${NAMED.name}: sudo usermod -aG ${NAMED.name} alice; then log in again`,
      `group ${NAMED.name}, mode 0660`,
    ],
    [0o600, 0, "make it the group kvm's", 'group root, mode 0600'],
    [0o660, 54321, 'add yourself to the group 54321', 'group 54321, mode 0660'],
    [0o644, 0, "make it the group kvm's", 'group root, mode 0644'],
  ])('says who may open one of mode %o (left out for ordinary users)', async (mode, gid, help, who) => {
    const dir = scratch();
    chmodSync(dir, 0o755);
    const device = join(dir, 'kvm');
    writeFileSync(device, '');
    chmodSync(device, mode);
    chownSync(device, 0, gid);
    const script = `console.log(JSON.stringify(require('SRC/host/kvm.ts').lookAtKvm('alice', ${JSON.stringify(device)}).fault))`;
    expect(await asStranger(script)).toEqual({
      usable: false,
      reason: `alice may not read and write ${device} (${who})`,
      help: expect.stringContaining(help),
    });
  });
});

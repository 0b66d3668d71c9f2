import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram, programDirs } from '../../src/host/programs.ts';
import { Machine } from '../boot/machine.ts';

const dirs = programDirs(process.env['PATH'], process.geteuid?.() ?? 0);
const LACKING = ['swtpm', 'swtpm_setup'].find((program) => !findProgram(program, dirs));

let machine: Machine;
let tpm: string;
beforeEach(() => {
  machine = new Machine('');
  tpm = join(machine.dir, 'state', 'ezvm', 'vm', 'tpm');
  mkdirSync(join(machine.dir, 'run'), { mode: 0o700 });
});
afterEach(() => machine.remove());

function describeVm(device: string): void {
  machine.write('vm.yaml', `name: vm\ntemplate: none\nfirmware: bios\nmachine: pc\nmemory: 64M\ntpm: ${device}\n`);
}

/** What the state holds in its non-volatile memory, which swtpm keeps readable unless there is a key. */
function state(name = 'tpm2-00.permall'): Buffer {
  return readFileSync(join(tpm, name));
}

describe.skipIf(LACKING !== undefined)(`the TPM of a VM${LACKING ? ` (left out: no ${LACKING})` : ''}`, () => {
  it('is made with certificates by an authority of the user’s own, once', async () => {
    describeVm('{ type: swtpm, model: tpm-tis }');
    await machine.start();
    const log = readFileSync(join(tpm, '..', 'swtpm_setup.log'), 'utf8');
    expect(log).toContain('Successfully created NVRAM area 0x1c00002 for RSA 2048 EK certificate');
    expect(log).toContain('for platform certificate');
    const authority = join(machine.dir, 'state', 'ezvm', '.tpm-authority');
    expect(statSync(authority).mode & 0o777).toBe(0o700);
    await machine.ezvm('stop', 'vm', '--force');
    // The very bytes of the certificate's issuer are in the TPM.
    expect(state().includes(Buffer.from('swtpm-localca'))).toBe(true);
    const size = statSync(join(tpm, '..', 'swtpm_setup.log')).size;
    await machine.start();
    expect(statSync(join(tpm, '..', 'swtpm_setup.log')).size).toBe(size);
  });

  it('does without them where that is asked for, and keeps what it has', async () => {
    describeVm('{ type: swtpm, model: tpm-tis, certificates: off }');
    await machine.start();
    await machine.ezvm('stop', 'vm', '--force');
    const before = state();
    expect(before.includes(Buffer.from('swtpm-localca'))).toBe(false);
    describeVm('{ type: swtpm, model: tpm-tis }');
    await machine.start();
    process.kill((await machine.status()).pid ?? 0, 'SIGKILL');
    const told = async (): Promise<string> => (await machine.ezvm('status', 'vm')).out;
    await expect.poll(told, { timeout: 60_000 }).toContain('vm  crashed');
    // It ends with its QEMU, which nothing needs any more.
    expect(await told()).toMatch(/^ {2}sidecar {2}swtpm: (exited with status 0 at|is ended with the VM|has ended)/m);
    expect(state().includes(Buffer.from('swtpm-localca'))).toBe(false);
  });

  it('is encrypted by a passphrase, opened by no other, and says so', async () => {
    writeFileSync(join(machine.dir, 'tpm.key'), 'one passphrase', { mode: 0o600 });
    describeVm('{ type: swtpm, model: tpm-tis, key: tpm.key }');
    await machine.start();
    const { stdout } = spawnSync('ps', ['-eww', '-o', 'args='], { encoding: 'utf8' });
    expect(stdout).not.toContain('one passphrase');
    await machine.ezvm('stop', 'vm', '--force');
    expect(state().includes(Buffer.from('swtpm-localca'))).toBe(false);
    await machine.start();
    await machine.ezvm('stop', 'vm', '--force');
    writeFileSync(join(machine.dir, 'tpm.key'), 'another');
    await expect(machine.start()).rejects.toThrow(/tpm.key is not that of this TPM/);
    rmSync(join(machine.dir, 'tpm.key'));
    await expect(machine.start()).rejects.toThrow(/tpm.key does not exist/);
  });

  it('may be a TPM 1.2', async () => {
    describeVm('{ type: swtpm, version: "1.2", model: tpm-tis }');
    await machine.start();
    const { sidecars } = await machine.status();
    expect(sidecars).toMatchObject([{ name: 'swtpm', alive: true }]);
    process.kill(sidecars[0]?.pid ?? 0, 'SIGKILL');
    await expect
      .poll(async () => (await machine.ezvm('status', 'vm')).out)
      .toMatch(/swtpm: DEAD.* help +shut the guest/s);
    await machine.ezvm('stop', 'vm', '--force');
    expect(state('tpm-00.permall').length).toBeGreaterThan(0);
    describeVm('{ type: swtpm, version: "1.2" }');
    await expect(machine.start()).rejects.toThrow(/which a TPM 1.2 has not got/);
  });

  it.each([
    ['1.2', '2.0'],
    ['2.0', '1.2'],
  ])('of version %s is not taken for one of %s', async (made, asked) => {
    const device = (version: string, more = ''): void =>
      describeVm(`{ type: swtpm, version: "${version}", model: tpm-tis, certificates: off${more} }`);
    const restart = async (): Promise<string> => {
      await machine.ezvm('stop', 'vm', '--force');
      return (await machine.start()).err;
    };
    device(made);
    await machine.start();
    expect(await restart()).not.toContain('has a TPM');
    device(asked);
    expect(await restart()).toMatch(
      new RegExp(`vm.yaml:6:.* warning: the VM has a TPM ${made} and gets a new ${asked} .*version: "${made}"`, 's'),
    );
    expect(await restart()).not.toContain('has a TPM');
    await machine.ezvm('stop', 'vm', '--force');

    device(made, ', state: own.tpm');
    await machine.start();
    await machine.ezvm('stop', 'vm', '--force');
    const before = readFileSync(join(machine.dir, 'own.tpm'));
    device(asked, ', state: own.tpm');
    await expect(machine.start()).rejects.toThrow(
      new RegExp(`vm.yaml:6:.* is not that of a TPM ${asked}, or is damaged.*\`version\` that it was made with`, 's'),
    );
    expect(readFileSync(join(machine.dir, 'own.tpm'))).toEqual(before);
    device(made, ', state: own.tpm');
    await machine.start();
  });
});

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, QEMU, withTpm } from '../launch/plan-builder.ts';
import { buildLauncher, type Ended, runLauncher } from './launcher-process.ts';

const NOBODY = 65534;
const IS_ROOT = process.geteuid?.() === 0;
const WHY = IS_ROOT ? '' : ' (left out: only root can become another user)';

let bin: string;
let program: string;
let lab: Lab;
beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'ezvm-b-'));
  chmodSync(bin, 0o755);
  program = await buildLauncher(bin);
});
afterAll(() => rmSync(bin, { recursive: true, force: true }));
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

function run(plan: Plan): Promise<Ended> {
  spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, lab.dir]);
  return runLauncher(program, lab, { plan, uid: NOBODY });
}

describe.skipIf(!IS_ROOT)(`an ordinary user${WHY}`, () => {
  it('starts a VM that is his alone', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { code, stderr, state } = await run(plan);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(statSync(`/proc/${state?.qemu?.pid}`).uid).toBe(NOBODY);
    expect(statSync(plan.vm.runDir).uid).toBe(NOBODY);
    expect((await run(plan)).diagnostics?.[0]?.code).toBe('vm-up');
  });

  it('is told what he may not use, why, and who may', async () => {
    const secret = join(lab.dir, 'secret.img');
    const grouped = join(lab.dir, 'grouped.img');
    writeFileSync(secret, '');
    writeFileSync(grouped, '');
    const plan = buildPlan(lab, {
      requirements: [
        { kind: 'path', path: secret, access: 'read', type: 'image' },
        { kind: 'path', path: grouped, access: 'write', type: 'image' },
        { kind: 'path', path: '/root/ezvm/x.img', access: 'read', type: 'image' },
        { kind: 'port', host: '127.0.0.1', port: 1, protocol: 'tcp' },
      ],
    });
    spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, lab.dir]);
    chownSync(secret, 0, 0);
    chmodSync(secret, 0o600);
    chownSync(grouped, 0, 6);
    chmodSync(grouped, 0o660);
    const { code, diagnostics } = await runLauncher(program, lab, { plan, uid: NOBODY });
    expect(code).toBe(3);
    expect(diagnostics?.map(({ message, help }) => [message, help])).toEqual([
      [
        `disk image ${secret} cannot be read: you may not do that`,
        `it belongs to user 0, group root, with mode 0600; see: ls -l ${secret}`,
      ],
      [
        `disk image ${grouped} cannot be written: you may not do that`,
        'it belongs to user 0, group disk, with mode 0660: join that group with `sudo usermod -aG disk $USER` and log in again',
      ],
      ['disk image /root/ezvm/x.img cannot be reached: you may not do that', 'see: namei -l /root/ezvm/x.img'],
      ['tcp port 127.0.0.1:1 cannot be used: ports below 1024 are kept for root', 'choose another address or port'],
    ]);
    expect(lab.leftovers()).toEqual([]);
  });

  it('does not use a run directory that belongs to somebody else', async () => {
    const plan = buildPlan(lab);
    spawnSync('mkdir', ['-m', '755', lab.runRoot]);
    chmodSync(lab.dir, 0o755);
    const { code, diagnostics } = await runLauncher(program, lab, { plan, uid: NOBODY });
    expect(code).toBe(3);
    expect(diagnostics?.[0]?.message).toContain(`${lab.runRoot} belongs to user 0, not to you (${NOBODY})`);
    expect(lab.processes().filter(({ argv }) => argv[0] === QEMU)).toEqual([]);
  });
});

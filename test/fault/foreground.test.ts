import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/admin/process.ts';
import { runQmp } from '../../src/admin/qmp.ts';
import { readState } from '../../src/admin/state.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, guestUp, type Lab, makeLab, type PlanChanges, until, withTpm } from '../launch/plan-builder.ts';
import { buildLauncher, type Launcher, startLauncher } from './launcher-process.ts';

const SHUTTING_DOWN = 'shutting vm down; a second signal ends it at once';
const SWTPM_DEAD = 'swtpm, which the VM needs, was killed by SIGKILL';

let bin: string;
let program: string;
let lab: Lab;
beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'ezvm-b-'));
  program = await buildLauncher(bin);
});
afterAll(() => rmSync(bin, { recursive: true, force: true }));
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

async function start(changes: PlanChanges): Promise<[Launcher, Plan]> {
  const plan = buildPlan(lab, { ...withTpm(lab), ...changes });
  const launcher = startLauncher(program, lab, { plan, foreground: true });
  await launcher.says('up');
  return [launcher, plan];
}

describe('a VM in the foreground', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('shuts down in order on %s', async (signal) => {
    const [launcher] = await start({});
    await guestUp(lab);
    launcher.child.kill(signal);
    const ended = await launcher.ended;
    expect(ended.stderr).toBe('');
    expect(ended.code).toBe(0);
    expect(ended.progress).toContain(SHUTTING_DOWN);
    expect(lab.leftovers()).toEqual([]);
  });

  it('ends on a second signal when the guest ignores the first', async () => {
    const [launcher] = await start({ guest: 'stubborn' });
    await guestUp(lab);
    launcher.child.kill('SIGINT');
    await launcher.says(SHUTTING_DOWN);
    expect(launcher.child.exitCode).toBe(null);
    launcher.child.kill('SIGINT');
    expect((await launcher.ended).code).toBe(0);
    expect(lab.leftovers()).toEqual([]);
  });

  it('does not take a terminal that is closed, which may send SIGHUP twice, for haste', async () => {
    const [launcher, plan] = await start({ guest: 'stubborn' });
    await guestUp(lab);
    launcher.child.kill('SIGHUP');
    await launcher.says(SHUTTING_DOWN);
    launcher.child.kill('SIGHUP');
    // By then it has answered whatever the signal led to.
    for (let turn = 0; turn < 20; turn++) await runQmp(plan.vm, 'query-status');
    expect(isAlive(readState(plan.vm.runDir)?.qemu ?? { pid: 0, startTime: '' })).toBe(true);
    launcher.child.kill('SIGINT');
    await launcher.says('ending QEMU; a third signal kills it');
    expect((await launcher.ended).code).toBe(0);
    expect(lab.leftovers()).toEqual([]);
  });

  it('ends on a third signal when QEMU hangs', async () => {
    const [launcher, plan] = await start({ guest: 'stubborn' });
    process.kill(readState(plan.vm.runDir)?.qemu?.pid ?? 0, 'SIGSTOP');
    launcher.child.kill('SIGTERM');
    await launcher.says(SHUTTING_DOWN);
    launcher.child.kill('SIGTERM');
    await launcher.says('ending QEMU; a third signal kills it');
    launcher.child.kill('SIGTERM');
    expect((await launcher.ended).code).toBe(137);
    expect(lab.leftovers()).toEqual([]);
  });

  it('passes on how QEMU ended, and tidies up', async () => {
    const [launcher, plan] = await start({});
    process.kill(readState(plan.vm.runDir)?.qemu?.pid ?? 0, 'SIGKILL');
    expect((await launcher.ended).code).toBe(137);
    expect(lab.leftovers()).toEqual([]);
  });

  it('ends with the guest', async () => {
    const [launcher] = await start({ guest: 'quick' });
    expect((await launcher.ended).code).toBe(0);
    expect(lab.leftovers()).toEqual([]);
  });

  it('can be stopped from elsewhere', async () => {
    const [launcher, plan] = await start({});
    await guestUp(lab);
    await stop(plan.vm);
    expect((await launcher.ended).code).toBe(0);
    expect(lab.leftovers()).toEqual([]);
  });

  it('says when a sidecar that it needs dies', async () => {
    const [launcher, plan] = await start({});
    process.kill(readState(plan.vm.runDir)?.sidecars[0]?.pid ?? 0, 'SIGKILL');
    await launcher.says(SWTPM_DEAD);
    await stop(plan.vm, { force: true });
    expect((await launcher.ended).progress).toContain(SWTPM_DEAD);
    expect(lab.leftovers()).toEqual([]);
  });

  it('outlives its ezvm, and can be stopped then', async () => {
    const [launcher, plan] = await start({});
    await guestUp(lab);
    launcher.child.kill('SIGKILL');
    await launcher.ended;
    await stop(plan.vm);
    await until('the end', () => !existsSync(plan.vm.runDir));
    expect(lab.leftovers()).toEqual([]);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identify, isAlive, ticksNow } from '../../src/admin/process.ts';
import { runQmp } from '../../src/admin/qmp.ts';
import { runFiles } from '../../src/admin/run-dir.ts';
import { readState, writeState } from '../../src/admin/state.ts';
import { statusOf } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import { buildPlan, guestUp, type Lab, makeLab, QEMU, SWTPM, until, withTpm } from '../launch/plan-builder.ts';

let lab: Lab;
let bystanders: ChildProcess[];
beforeEach(() => {
  lab = makeLab();
  bystanders = [];
});
afterEach(async () => {
  for (const child of bystanders) child.kill('SIGKILL');
  await lab.sweep();
});

/** A process that has nothing to do with any VM. */
function bystander(argv: readonly string[] = ['/bin/sleep', '600'], detached = true): number {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: 'ignore', detached });
  bystanders.push(child);
  return child.pid ?? 0;
}

describe('a QEMU that was killed', () => {
  it('is told about until the next start, with what it said, and its sockets are no obstacle', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    appendFileSync(join(plan.vm.stateDir, 'qemu.log'), 'qemu-system-x86_64: Out of luck\n');
    process.kill(state.qemu?.pid ?? 0, 'SIGKILL');
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
    expect(existsSync(plan.vm.qmpSocket)).toBe(true);

    const status = await statusOf('vm', plan.vm.runDir);
    expect(status).toMatchObject({
      condition: 'crashed',
      reason: 'QEMU was killed or crashed',
      said: ['qemu-system-x86_64: Out of luck'],
    });
    expect(lab.leftovers()).toEqual([]);
    for (const _ of ['the second', 'the third'])
      expect(await statusOf('vm', plan.vm.runDir, plan.vm.stateDir)).toMatchObject({
        condition: 'crashed',
        said: ['qemu-system-x86_64: Out of luck'],
        sidecars: [{ name: 'swtpm', alive: false, needed: true }],
      });
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('stopped');

    await launch(plan);
    await stop(plan.vm, { force: true });
    expect((await statusOf('vm', plan.vm.runDir, plan.vm.stateDir)).condition).toBe('stopped');
  });

  it('is cleared away by the next start', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    process.kill(state.qemu?.pid ?? 0, 'SIGKILL');
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
    await launch(plan);
    for (const program of [QEMU, SWTPM])
      expect(lab.processes().filter(({ argv }) => argv[0] === program)).toHaveLength(1);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('is not running for stop, which clears it away', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    process.kill(state.qemu?.pid ?? 0, 'SIGKILL');
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
    await expect(stop(plan.vm)).rejects.toMatchObject({ exit: 4, diagnostics: [{ code: 'vm-down' }] });
    expect(lab.leftovers()).toEqual([]);
    await expect(stop(plan.vm)).rejects.toMatchObject({ exit: 4, message: 'VM vm is not running' });
  });
});

describe('a guest that powers itself off', () => {
  it('is stopped, not crashed, and leaves nothing', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    await guestUp(lab);
    await runQmp(plan.vm, 'system_powerdown');
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
    expect(await statusOf('vm', plan.vm.runDir)).toMatchObject({ condition: 'stopped' });
    expect(lab.leftovers()).toEqual([]);
  });

  it('before the start is over makes it a start that has already ended', async () => {
    const plan = buildPlan(lab, { ...withTpm(lab), guest: 'quick' });
    const launched = await launch(plan, {
      onStep: async (moment) => {
        const qemu = moment === 'qemu: continued' ? readState(plan.vm.runDir)?.qemu : undefined;
        if (qemu) await until('its end', () => !isAlive(qemu));
      },
    });
    // Whether the end is seen while the start looks or right after it is a matter of milliseconds.
    if (launched.exitStatus === undefined) await statusOf('vm', plan.vm.runDir);
    else expect(launched.exitStatus).toBe(0);
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('a process number that was given away', () => {
  it('is not taken for the QEMU in the state file, nor for anything in the journal', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    const innocent = bystander();
    const killed = [state.qemu, ...state.sidecars];
    for (const one of killed) if (one && isAlive(one)) process.kill(one.pid, 'SIGKILL');
    await until('their end', () => killed.every((one) => !one || !isAlive(one)));

    const { qemu } = state;
    if (!qemu) throw new Error('no QEMU');
    writeState(plan.vm.runDir, { ...state, qemu: { ...qemu, pid: innocent } });
    const line = { change: 'spawned', name: 'qemu', pid: innocent, startTime: qemu.startTime };
    appendFileSync(runFiles(plan.vm.runDir).journal, `${JSON.stringify(line)}\n`);

    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('crashed');
    expect(lab.leftovers()).toEqual([]);
    expect(identify(innocent)).toBeDefined();
  });

  it('is not taken for a launcher, a stopper or a running VM either', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    const innocent = bystander();
    writeState(plan.vm.runDir, { ...state, phase: 'stopping', stopper: { pid: innocent, startTime: 'then' } });
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');
    await stop(plan.vm, { force: true });
    expect(identify(innocent)).toBeDefined();
  });
});

describe('a process with the command line of one that was about to be started', () => {
  const argv = ['/bin/sleep', '601'];

  /** A run directory whose launcher died with only an intention in its journal. */
  function intend(since: number): string {
    const runDir = join(lab.runRoot, 'vm');
    mkdirSync(runDir, { recursive: true, mode: 0o700 });
    writeFileSync(runFiles(runDir).journal, `${JSON.stringify({ change: 'spawn', name: 'helper', argv, since })}\n`, {
      mode: 0o600,
    });
    return runDir;
  }

  it('is ended when it was started afterwards, in a session of its own', async () => {
    const runDir = intend(ticksNow());
    const orphan = identify(bystander(argv));
    expect(orphan && isAlive(orphan)).toBe(true);
    await statusOf('vm', runDir);
    expect(orphan && isAlive(orphan)).toBe(false);
    expect(lab.leftovers()).toEqual([]);
  });

  it('is left alone when it was there before, belongs to a terminal, or differs in one argument', async () => {
    const before = bystander(argv);
    await until('the clock to tick', () => ticksNow() > Number(identify(before)?.startTime.split(':')[1]));
    const runDir = intend(ticksNow());
    const others = [bystander(argv, false), bystander(['/bin/sleep', '601', '0'])];
    await statusOf('vm', runDir);
    for (const pid of [before, ...others]) expect(identify(pid)).toBeDefined();
    expect(existsSync(runDir)).toBe(false);
  });
});

describe('a run directory that somebody else changed', () => {
  it('is reported, and never guessed about', async () => {
    const plan = buildPlan(lab);
    await launch(plan);
    const { state } = runFiles(plan.vm.runDir);
    const good = readState(plan.vm.runDir);
    writeFileSync(state, '{"format":2}');
    await expect(launch(plan)).rejects.toMatchObject({ exit: 4, diagnostics: [{ code: 'state-damaged' }] });
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('damaged');
    rmSync(state);
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('damaged');
    await expect(launch(plan)).rejects.toMatchObject({ exit: 4, diagnostics: [{ code: 'state-damaged' }] });
    if (good) writeState(plan.vm.runDir, good);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('a child of ours that ended', () => {
  it('counts as dead before it is reaped', async () => {
    const child = spawn('/bin/true', [], { stdio: 'ignore' });
    const identity = identify(child.pid ?? 0);
    // The loop does not turn here, so Node cannot reap it.
    const deadline = performance.now() + 10_000;
    while (identity && isAlive(identity) && performance.now() < deadline);
    expect(identity && isAlive(identity)).toBe(false);
    expect(identify(child.pid ?? 0)).toEqual(identity);
    await once(child, 'exit');
  });
});

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lockPath, lockVm } from '../../src/admin/lock.ts';
import { isAlive } from '../../src/admin/process.ts';
import { ensureRunRoot } from '../../src/admin/run-dir.ts';
import { statusOf } from '../../src/admin/status.ts';
import { stop } from '../../src/launch/stop.ts';
import { buildPlan, type Lab, makeLab, QEMU, withTpm } from '../launch/plan-builder.ts';
import { buildLauncher, runLauncher } from './launcher-process.ts';

const RACERS = 20;

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

describe('the same VM started by twenty at once', () => {
  it.each(['on a fresh host', 'after a crash'])('%s has one winner, and nineteen are told why', async (when) => {
    const plan = buildPlan(lab, withTpm(lab));
    if (when === 'after a crash') await runLauncher(program, lab, { plan, killAt: 'qemu: note' });
    const notBefore = Date.now() + 2000;
    const racers = Array.from({ length: RACERS }, () => runLauncher(program, lab, { plan, notBefore }));
    const ended = await Promise.all(racers);

    const winners = ended.filter(({ code }) => code === 0);
    const losers = ended.filter(({ code }) => code !== 0);
    expect(losers.map(({ stderr }) => stderr).join('')).toBe('');
    expect(losers.map(({ code }) => code)).toEqual(Array.from({ length: RACERS - 1 }, () => 4));
    for (const { diagnostics } of losers) expect(['vm-busy', 'vm-up']).toContain(diagnostics?.[0]?.code);
    const qemus = lab.processes().filter(({ argv }) => argv[0] === QEMU);
    expect(qemus.map(({ pid }) => pid)).toEqual([winners[0]?.state?.qemu?.pid]);
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');

    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('and stopped by several leaves nothing, and each is told the truth', async () => {
    const plan = buildPlan(lab);
    const { state } = await runLauncher(program, lab, { plan });
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => stop(plan.vm, { force: true })));
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ exit: 4 });
    expect(state?.qemu && isAlive(state.qemu)).toBe(false);
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('the lock', () => {
  it('names its holder and ends with it', async () => {
    ensureRunRoot(lab.runRoot);
    const runDir = join(lab.runRoot, 'vm');
    const lock = await lockVm('vm', runDir, 'start');
    await expect(lockVm('vm', runDir, 'stop')).rejects.toMatchObject({
      exit: 4,
      message: `VM vm is being started by another ezvm, pid ${process.pid}`,
    });
    lock.release();
    expect(existsSync(lockPath(runDir))).toBe(false);
    (await lockVm('vm', runDir, 'stop')).release();
    expect(readdirSync(lab.runRoot)).toEqual([]);
  });

  it('is waited for while its holder only tidies up', async () => {
    ensureRunRoot(lab.runRoot);
    const runDir = join(lab.runRoot, 'vm');
    const lock = await lockVm('vm', runDir, 'tidy');
    setTimeout(() => lock.release(), 50);
    (await lockVm('vm', runDir, 'start')).release();
  });

  it('is never held by two, however often its file comes and goes', async () => {
    ensureRunRoot(lab.runRoot);
    const contender = await buildLauncher(bin, 'contender');
    const run = promisify(execFile);
    const contend = () => run(process.execPath, [contender, join(lab.runRoot, 'vm'), '40']);
    await Promise.all([contend(), contend(), contend(), contend()]);
    expect(readdirSync(lab.runRoot)).toEqual([]);
  });
});

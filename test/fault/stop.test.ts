import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/admin/process.ts';
import { runQmp } from '../../src/admin/qmp.ts';
import { readState } from '../../src/admin/state.ts';
import { statusOf } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import { buildPlan, guestUp, type Lab, makeLab, until, withTpm } from '../launch/plan-builder.ts';
import { buildLauncher, runLauncher } from './launcher-process.ts';

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

describe('stop', () => {
  it('of a guest that ignores its button says so, leaves it running, and --force ends it', async () => {
    const plan = buildPlan(lab, { ...withTpm(lab), guest: 'stubborn' });
    const { state } = await launch(plan);
    await guestUp(lab);
    await expect(stop(plan.vm, { timeoutMs: 700 })).rejects.toMatchObject({
      exit: 4,
      message: 'VM vm has not shut down within 0.7 s and runs on',
      diagnostics: [{ code: 'guest-deaf', help: expect.stringContaining('ezvm stop --force vm') }],
    });
    expect(state.qemu && isAlive(state.qemu)).toBe(true);
    expect(readState(plan.vm.runDir)).toEqual(state);
    await stop(plan.vm, { force: true });
    expect(state.qemu && isAlive(state.qemu)).toBe(false);
    expect(lab.leftovers()).toEqual([]);
  });

  it('by force gets past one that waits for the guest', async () => {
    const plan = buildPlan(lab, { guest: 'stubborn', stopTimeout: 60 });
    await launch(plan);
    await guestUp(lab);
    const patient = stop(plan.vm);
    await until('the first stop', () => readState(plan.vm.runDir)?.phase === 'stopping');
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('stopping');
    await expect(launch(plan)).rejects.toMatchObject({ exit: 4 });
    await stop(plan.vm, { force: true });
    await patient;
    expect(lab.leftovers()).toEqual([]);
  });

  it('presses the button again for a guest that was not ready for it', async () => {
    const plan = buildPlan(lab, { guest: 'late' });
    await launch(plan);
    await guestUp(lab);
    await stop(plan.vm);
    expect(lab.leftovers()).toEqual([]);
  });

  it('lets a paused guest go on first, or it would never feel the button', async () => {
    const plan = buildPlan(lab);
    await launch(plan);
    await guestUp(lab);
    await runQmp(plan.vm, 'stop');
    const said: string[] = [];
    await stop(plan.vm, { onProgress: (text) => said.push(text) });
    expect(said).toEqual(['asking vm to shut down', 'the guest is paused; letting it go on']);
    expect(lab.leftovers()).toEqual([]);
  });

  it('ends a VM that never ran at once', async () => {
    const plan = buildPlan(lab, { guest: 'stubborn', options: [{ name: 'S', args: true }] });
    const { warnings } = await launch(plan);
    expect(warnings.map(({ message }) => message)).toEqual(['VM vm is prelaunch']);
    expect(await statusOf('vm', plan.vm.runDir)).toMatchObject({
      condition: 'paused',
      reason: 'it waits to be let go',
    });
    await stop(plan.vm);
    expect(lab.leftovers()).toEqual([]);
  });

  it.each(['qemu: note', 'qemu: ready', 'qemu: continuing'])(
    'ends a VM whose launcher was killed at "%s"',
    async (killAt) => {
      const plan = buildPlan(lab, withTpm(lab));
      await runLauncher(program, lab, { plan, killAt });
      const stopped = stop(plan.vm);
      // Before its number was written down nobody could know that QEMU ran.
      if (killAt === 'qemu: note') await expect(stopped).rejects.toMatchObject({ exit: 4 });
      else await stopped;
      expect(lab.leftovers()).toEqual([]);
    },
  );

  it('ends a VM whose launcher was killed right after letting the guest go, in order', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    await runLauncher(program, lab, { plan, killAt: 'qemu: continued' });
    await guestUp(lab);
    await stop(plan.vm);
    expect(lab.leftovers()).toEqual([]);
  });

  it('says who is in the way when another client holds the monitor, and --force does not care', async () => {
    const plan = buildPlan(lab);
    await launch(plan);
    const client = connect(plan.vm.qmpSocket);
    await new Promise((resolve) => client.once('data', resolve));
    await expect(stop(plan.vm, { timeoutMs: 500 })).rejects.toMatchObject({
      exit: 4,
      diagnostics: [{ code: 'monitor-lost', message: expect.stringContaining('one client at a time') }],
    });
    await stop(plan.vm, { force: true });
    client.destroy();
    expect(lab.leftovers()).toEqual([]);
  });

  it('names the program for which QEMU waits, and does not wait itself', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    await guestUp(lab);
    const pid = state.sidecars[0]?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    await until('swtpm has stopped', async () => {
      const { sidecars } = await statusOf('vm', plan.vm.runDir);
      return sidecars[0]?.alive === true && sidecars[0].stopped === true;
    });
    // QEMU takes leave of its TPM.
    await expect(stop(plan.vm, { timeoutMs: 600_000 })).rejects.toMatchObject({
      exit: 4,
      diagnostics: [
        {
          code: 'qemu-hung',
          message: `QEMU of VM vm hangs: it waits for swtpm (pid ${pid}), which is stopped`,
          help: `let it go on: kill -CONT ${pid}, or end the VM without asking: ezvm stop --force vm`,
        },
      ],
    });
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('says that QEMU is stopped, and does not wait for its answers', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    const pid = state.qemu?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    await expect(stop(plan.vm, { timeoutMs: 600_000 })).rejects.toMatchObject({
      exit: 4,
      diagnostics: [{ code: 'qemu-hung', help: expect.stringContaining(`kill -CONT ${pid}`) }],
    });
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('by force ends a QEMU that hangs', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    process.kill(state.qemu?.pid ?? 0, 'SIGSTOP');
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });
});

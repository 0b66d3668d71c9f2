import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, isStopped } from '../../src/admin/process.ts';
import { readState, type SidecarState } from '../../src/admin/state.ts';
import { statusOf } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { restartSidecar } from '../../src/launch/restart.ts';
import { stop } from '../../src/launch/stop.ts';
import { view } from '../../src/launch/view.ts';
import type { Plan, Sidecar } from '../../src/plan/plan.ts';
import { Built } from '../cli/built.ts';
import { buildPlan, guestUp, type Lab, makeLab, until, withTpm } from './plan-builder.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

const OPTIONS = { session: {}, ezvm: [] };

function viewer(script: string, more: Partial<Sidecar> = {}): Sidecar {
  return { name: 'viewer', argv: ['/bin/sh', '-c', `${script}; : ${lab.dir}/`], when: 'after', ...more };
}

function entry(plan: Plan, name = 'viewer'): SidecarState {
  const found = readState(plan.vm.runDir)?.sidecars.find((one) => one.name === name);
  if (!found) throw new Error(`${name} is not recorded`);
  return found;
}

async function kill(plan: Plan, name?: string): Promise<void> {
  const one = entry(plan, name);
  process.kill(one.pid, 'SIGKILL');
  await until('its end', () => !isAlive(one));
}

describe('view', () => {
  it('opens a viewer that was closed, leaves one alone that is open, and stop ends it', async () => {
    const plan = buildPlan(lab, { sidecars: [viewer('sleep 600')] });
    await launch(plan);
    const first = entry(plan);
    expect(await view(plan.vm, OPTIONS)).toEqual({ opened: [], kept: ['viewer'] });
    await kill(plan);
    expect(await view(plan.vm, OPTIONS)).toEqual({ opened: ['viewer'], kept: [] });
    const second = entry(plan);
    expect(second.pid).not.toBe(first.pid);
    expect(isAlive(second)).toBe(true);
    expect(readState(plan.vm.runDir)?.sidecars).toHaveLength(1);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('opens one that a start leaves closed', async () => {
    const plan = buildPlan(lab, { sidecars: [viewer('sleep 600', { when: 'asked' })] });
    const { state } = await launch(plan);
    expect(state.sidecars).toEqual([]);
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toEqual([]);
    expect(await view(plan.vm, OPTIONS)).toEqual({ opened: ['viewer'], kept: [] });
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toMatchObject([{ alive: true, needed: false }]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('says why one cannot start, and status goes on saying it', async () => {
    const plan = buildPlan(lab, {
      sidecars: [viewer('echo "cannot open display" >&2; exit 3', { when: 'asked' })],
    });
    await launch(plan);
    await expect(view(plan.vm, OPTIONS)).rejects.toMatchObject({
      exit: 3,
      message: 'viewer exited with status 3: cannot open display',
    });
    for (const _ of ['once', 'twice'])
      expect((await statusOf('vm', plan.vm.runDir)).sidecars).toMatchObject([
        { alive: false, reason: 'exited with status 3', said: ['cannot open display'] },
      ]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('names the package of one that is not installed, and finds it once it is', async () => {
    const help = 'install the package some-viewer';
    const plan = buildPlan(lab, { sidecars: [{ ...viewer(''), argv: ['ezvm-no-such-viewer'], help }] });
    const { state, warnings } = await launch(plan);
    // The program's requirement, which a real plan has, says it before the start.
    expect(warnings).toEqual([]);
    expect(state.reasons).toEqual({ viewer: 'ezvm-no-such-viewer was not installed' });
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toEqual([
      {
        name: 'viewer',
        alive: false,
        needed: false,
        restartable: true,
        reason: 'ezvm-no-such-viewer was not installed',
      },
    ]);
    await expect(view(plan.vm, OPTIONS)).rejects.toMatchObject({ exit: 3, diagnostics: [{ help }] });
    await stop(plan.vm, { force: true });
  });

  it('of a VM without a viewer, or one that does not run, says so', async () => {
    const plan = buildPlan(lab);
    await expect(view(plan.vm, OPTIONS)).rejects.toMatchObject({ exit: 4, diagnostics: [{ code: 'vm-down' }] });
    await launch(plan);
    await expect(view(plan.vm, OPTIONS)).rejects.toMatchObject({ exit: 4, diagnostics: [{ code: 'viewer-none' }] });
    await stop(plan.vm, { force: true });
  });
});

describe('restart-sidecar', () => {
  it('replaces one that hangs', async () => {
    const plan = buildPlan(lab, { sidecars: [viewer('trap "" TERM; sleep 600')] });
    await launch(plan);
    const first = entry(plan);
    await restartSidecar(plan.vm, 'viewer', OPTIONS);
    expect(isAlive(first)).toBe(false);
    expect(isAlive(entry(plan))).toBe(true);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('says that QEMU does not take another swtpm, and what to do', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    await launch(plan);
    await kill(plan, 'swtpm');
    await expect(restartSidecar(plan.vm, 'swtpm', OPTIONS)).rejects.toMatchObject({
      exit: 4,
      diagnostics: [{ code: 'sidecar-bound', help: expect.stringContaining('ezvm stop vm') }],
    });
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('says of a swtpm that is only stopped how it goes on', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    const pid = state.sidecars[0]?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    await until('it has stopped', () => isStopped(state.sidecars[0] ?? { pid: 0, startTime: '' }));
    await expect(restartSidecar(plan.vm, 'swtpm', OPTIONS)).rejects.toMatchObject({
      exit: 4,
      diagnostics: [{ code: 'sidecar-bound', help: expect.stringContaining(`kill -CONT ${pid}`) }],
    });
    process.kill(pid, 'SIGCONT');
    await stop(plan.vm, { force: true });
  });

  it('brings back one that QEMU connects to again', async () => {
    const socket = join(lab.runRoot, 'vm', 'helper.sock');
    const program = `require('fs').rmSync(${JSON.stringify(socket)}, { force: true }); require('net').createServer().listen(${JSON.stringify(socket)})`;
    const helper: Sidecar = {
      name: 'helper',
      argv: [process.execPath, '-e', program],
      when: 'before',
      ready: { socket, timeout: 20 },
      reconnects: true,
    };
    const plan = buildPlan(lab, { sidecars: [helper] });
    await launch(plan);
    await kill(plan, 'helper');
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toMatchObject([
      { alive: false, needed: true, restartable: true },
    ]);
    await restartSidecar(plan.vm, 'helper', OPTIONS);
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toMatchObject([{ alive: true, needed: true }]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('names those there are', async () => {
    const plan = buildPlan(lab, { sidecars: [viewer('sleep 600')] });
    await launch(plan);
    await expect(restartSidecar(plan.vm, 'veiwer', OPTIONS)).rejects.toMatchObject({
      exit: 2,
      diagnostics: [{ help: 'it has viewer' }],
    });
    await stop(plan.vm, { force: true });
  });
});

describe('a viewer whose end stops the VM', () => {
  let built: Built;
  beforeEach(() => {
    built = new Built();
  });
  afterEach(() => built.remove());

  /** Whether an ezvm of this test waits for a viewer's end. */
  function isWatched(): boolean {
    return readdirSync('/proc').some((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${built.dist}/start.cjs\0view`);
      } catch {
        return false;
      }
    });
  }

  /** A VM whose viewer ends as the file `how` beside it says, as soon as that is there. */
  async function start(): Promise<{ plan: Plan; close: (status: number) => void }> {
    const how = join(lab.dir, 'how');
    const run = join(built.env['XDG_RUNTIME_DIR'] ?? '', 'ezvm');
    const own: Lab = { ...lab, runRoot: run };
    const script = `until test -e ${how}; do sleep 0.05; done; exit $(cat ${how})`;
    const plan = buildPlan(own, { sidecars: [viewer(script, { onClose: 'stop' })] });
    const before = { ...process.env };
    try {
      Object.assign(process.env, built.env);
      const { warnings } = await launch(plan, { ezvm: [process.execPath, join(built.dist, 'start.cjs')] });
      expect(warnings).toEqual([]);
    } finally {
      for (const name of Object.keys(built.env)) delete process.env[name];
      Object.assign(process.env, before);
    }
    await guestUp(lab);
    return { plan, close: (status) => writeFileSync(how, String(status)) };
  }

  it('shuts the guest down when it is closed', async () => {
    const { plan, close } = await start();
    expect(isAlive(entry(plan))).toBe(true);
    expect(isWatched()).toBe(true);
    close(0);
    await until('the VM to be gone', () => !existsSync(plan.vm.runDir) && lab.processes().length === 0 && !isWatched());
    expect(readFileSync(join(plan.vm.stateDir, 'viewer-watch.log'), 'utf8')).toBe('');
  });

  it('lets the VM run on when it crashes, and says how it ended', async () => {
    const { plan, close } = await start();
    close(7);
    await until('the note', () => readState(plan.vm.runDir)?.reasons?.['viewer'] !== undefined);
    expect(await statusOf('vm', plan.vm.runDir)).toMatchObject({
      condition: 'running',
      sidecars: [{ alive: false, reason: 'exited with status 7' }],
    });
    await stop(plan.vm, { force: true });
    expect(lab.processes()).toEqual([]);
    await until('the watcher to end', () => !isWatched());
  });

  it('does not stop the VM when it is restarted', async () => {
    const { plan } = await start();
    const first = entry(plan);
    const { exit, err } = built.run(['restart-sidecar', 'vm', 'viewer']);
    expect(exit, err).toBe(0);
    expect(isAlive(first)).toBe(false);
    expect(isAlive(entry(plan))).toBe(true);
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');
    await stop(plan.vm, { force: true });
    expect(lab.processes()).toEqual([]);
    await until('the watchers to end', () => !isWatched());
  });
});

import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/admin/process.ts';
import { statusOf } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Sidecar } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab } from './plan-builder.ts';

const ORIGIN = { file: 'vm.yaml', line: 5, column: 1 };

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

function viewer(script: string, more: Partial<Sidecar> = {}): Sidecar {
  return {
    name: 'viewer',
    argv: ['/bin/sh', '-c', `${script}; : ${lab.dir}/`],
    when: 'after',
    origin: ORIGIN,
    ...more,
  };
}

/** A viewer that connects to where a viewer would. */
function connecting(where: string | number, needs: NonNullable<Sidecar['needs']>): Sidecar {
  const place = typeof where === 'string' ? JSON.stringify(where) : `${where}, '127.0.0.1'`;
  const program = `require('net').connect(${place}).on('data', () => {}); setInterval(() => {}, 1000); // ${lab.dir}/`;
  return { ...viewer(''), argv: [process.execPath, '-e', program], needs };
}

describe('a sidecar that needs QEMU', () => {
  it('is started once its socket answers, shown by status and ended by stop', async () => {
    const socket = join(lab.runRoot, 'vm', 'qmp.sock');
    const plan = buildPlan(lab, { sidecars: [connecting(socket, { socket })] });
    const { state, warnings } = await launch(plan);
    expect(warnings).toEqual([]);
    const [recorded] = state.sidecars;
    expect(recorded).toMatchObject({ name: 'viewer', when: 'after' });
    expect(recorded && isAlive(recorded)).toBe(true);
    expect((await statusOf('vm', plan.vm.runDir)).sidecars).toMatchObject([{ alive: true, needed: false }]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('that cannot start is a warning with its words, and the VM runs on', async () => {
    const plan = buildPlan(lab, { sidecars: [viewer('echo "cannot open display" >&2; exit 1')] });
    const { warnings } = await launch(plan);
    expect(warnings).toMatchObject([
      {
        severity: 'warning',
        message: 'viewer exited with status 1: cannot open display',
        help: expect.stringMatching(/; open it again: ezvm view vm$/),
        origin: ORIGIN,
      },
    ]);
    const { condition, sidecars } = await statusOf('vm', plan.vm.runDir);
    expect(condition).toBe('running');
    expect(sidecars).toMatchObject([{ alive: false, said: ['cannot open display'] }]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('that hands its work to another program and ends well is no trouble', async () => {
    const { warnings } = await launch(buildPlan(lab, { sidecars: [viewer('exit 0')] }));
    expect(warnings).toEqual([]);
  });

  it('that is not installed is a warning', async () => {
    const plan = buildPlan(lab, { sidecars: [{ ...viewer(''), argv: ['/usr/bin/no-such-viewer'] }] });
    const { warnings } = await launch(plan);
    expect(warnings.map(({ message }) => message)).toEqual([
      '/usr/bin/no-such-viewer cannot be executed: it does not exist',
    ]);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('waits for a port as well', async () => {
    const server = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const plan = buildPlan(lab, { sidecars: [connecting(port, { host: '127.0.0.1', port })] });
    const { state, warnings } = await launch(plan);
    server.close();
    expect(warnings).toEqual([]);
    expect(state.sidecars).toHaveLength(1);
    await stop(plan.vm, { force: true });
  });

  it('that lives and connects to nothing is a warning, and status goes on saying it', async () => {
    const socket = join(lab.runRoot, 'vm', 'qmp.sock');
    const plan = buildPlan(lab, { sidecars: [viewer('sleep 600', { needs: { socket } })] });
    const { warnings } = await launch(plan);
    const help = expect.stringMatching(/; open it again: ezvm restart-sidecar vm viewer$/);
    expect(warnings).toMatchObject([{ message: expect.stringContaining('has not connected to'), help }]);
    const { sidecars } = await statusOf('vm', plan.vm.runDir);
    expect(sidecars).toMatchObject([{ alive: true, connected: false }]);
    await stop(plan.vm, { force: true });
  });

  it('whose endpoint never answers is not started, and the warning names it', async () => {
    const socket = join(lab.runRoot, 'vm', 'none.sock');
    const abort = new AbortController();
    const plan = buildPlan(lab, { sidecars: [viewer('sleep 600', { needs: { socket } })] });
    const launched = launch(plan, {
      signal: abort.signal,
      // An interruption ends the waiting, not the VM, which runs by then.
      onStep: (moment) => void (moment === 'running' && setTimeout(() => abort.abort(), 50)),
    });
    const { warnings, state } = await launched;
    expect(warnings).toMatchObject([
      { severity: 'warning', message: 'viewer was not waited for any longer', origin: ORIGIN },
    ]);
    expect(state.sidecars).toEqual([]);
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');
  });
});

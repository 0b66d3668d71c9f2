import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachMonitor, runMonitor } from '../../src/admin/monitor.ts';
import { isAlive } from '../../src/admin/process.ts';
import { runQmp } from '../../src/admin/qmp.ts';
import type { RunState } from '../../src/admin/state.ts';
import { launch } from '../../src/launch/launch.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, until } from '../launch/plan-builder.ts';

let lab: Lab;
let plan: Plan;
let state: RunState;
beforeEach(async () => {
  lab = makeLab();
  plan = buildPlan(lab);
  ({ state } = await launch(plan));
});
afterEach(() => lab.sweep());

/** A terminal whose keyboard is `input` and whose screen is `text()`. */
function terminal(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), {
    isTTY,
    raw: [] as boolean[],
    setRawMode: (raw: boolean) => input.raw.push(raw),
  });
  const output = new PassThrough();
  let shown = '';
  output.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
  });
  return { input, output, text: () => shown };
}

describe('one command', () => {
  it('of the human monitor gives its answer', async () => {
    expect(await runMonitor(plan.vm, 'info name')).toBe('vm\n');
    expect(await runMonitor(plan.vm, 'info nothing')).toContain('info nothing');
  });

  it('of QMP gives its answer, and takes arguments', async () => {
    expect(await runQmp(plan.vm, 'query-status')).toMatchObject({ status: 'running' });
    expect(await runQmp(plan.vm, 'human-monitor-command', { 'command-line': 'info name' })).toBe('vm\r\n');
  });

  it('of QMP that QEMU refuses is an error of usage, in its words', async () => {
    await expect(runQmp(plan.vm, 'query-nothing')).rejects.toMatchObject({
      exit: 2,
      message: 'QEMU refused query-nothing: The command query-nothing has not been found',
      diagnostics: [{ code: 'qmp-refused', help: 'all commands: ezvm qmp vm query-commands' }],
    });
    await expect(runQmp(plan.vm, 'device_del', { id: 'none' })).rejects.toMatchObject({ exit: 2 });
  });

  it('for a monitor that is busy or gone is a clear error', async () => {
    const client = connect(plan.vm.qmpSocket);
    await new Promise((resolve) => client.once('data', resolve));
    const busy = { exit: 4, diagnostics: [{ code: 'monitor-lost', message: expect.stringContaining('busy') }] };
    await expect(runQmp(plan.vm, 'query-status', undefined, 200)).rejects.toMatchObject(busy);
    client.destroy();
    await expect(runQmp({ name: 'vm', qmpSocket: '/nowhere/qmp' }, 'query-status')).rejects.toMatchObject({ exit: 4 });
  });
});

describe('an attached monitor', () => {
  it('talks both ways until the input ends', async () => {
    const { input, output, text } = terminal(false);
    const attached = attachMonitor(plan.vm, { input, output });
    input.end('info name\ninfo status\n');
    await attached;
    expect(text()).toMatch(/^QEMU \d+/);
    expect(text()).toMatch(/\bvm\r?\n/);
    expect(text()).toContain('VM status: running');
    expect(state.qemu && isAlive(state.qemu)).toBe(true);
  });

  it('is left with Ctrl-], and gives the terminal back', async () => {
    const { input, output, text } = terminal(true);
    const attached = attachMonitor(plan.vm, { input, output });
    await until('the prompt', () => text().includes('(qemu)'));
    expect(input.raw).toEqual([true]);
    input.write('info name\r');
    await until('the answer', () => /\bvm\r\n/.test(text()));
    input.write('\x1d');
    await attached;
    expect(input.raw).toEqual([true, false]);
    expect(state.qemu && isAlive(state.qemu)).toBe(true);
    // And the next one is served.
    const again = terminal(false);
    const second = attachMonitor(plan.vm, again);
    again.input.end('info name\n');
    await second;
    expect(again.text()).toMatch(/\bvm\r?\n/);
  });

  it('ends with QEMU', async () => {
    const { input, output } = terminal(true);
    const attached = attachMonitor(plan.vm, { input, output });
    input.write('quit\r');
    await attached;
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
  });

  it('cannot be had twice, or without a VM', async () => {
    const first = connect(plan.vm.monitorSocket);
    await new Promise((resolve) => first.once('data', resolve));
    const { input, output } = terminal(false);
    await expect(attachMonitor(plan.vm, { input, output })).rejects.toMatchObject({
      exit: 4,
      message: 'the monitor of VM vm says nothing; it serves one client at a time and is busy',
    });
    first.destroy();
    const gone = { name: 'vm', monitorSocket: '/nowhere/monitor' };
    await expect(attachMonitor(gone, { input, output })).rejects.toMatchObject({ exit: 4 });
  });
});

import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endProcess, isAlive } from '../../src/admin/process.ts';
import { readBootedPlan, readState } from '../../src/admin/state.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import { buildPlan, guestUp, type Lab, makeLab, withTpm } from './plan-builder.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

describe('launch', () => {
  it('boots a guest, leaves it alone, and stop ends it without a trace', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state, warnings, exitStatus } = await launch(plan);
    expect(warnings).toEqual([]);
    expect(exitStatus).toBeUndefined();
    expect(state.phase).toBe('running');
    expect(readState(plan.vm.runDir)).toEqual(state);
    expect(readBootedPlan(plan.vm.runDir)).toEqual(plan);
    await guestUp(lab);
    await stop(plan.vm);
    expect(lab.leftovers()).toEqual([]);
    expect(existsSync(join(plan.vm.stateDir, 'qemu.log'))).toBe(true);
    expect(existsSync(join(plan.vm.stateDir, 'tpm'))).toBe(true);
  });

  it('keeps everything it makes from other users', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const before = process.umask();
    await launch(plan);
    expect(process.umask()).toBe(before);
    const { runDir, stateDir } = plan.vm;
    for (const path of [lab.runRoot, runDir, stateDir]) expect(lstatSync(path).mode & 0o777, path).toBe(0o700);
    for (const name of ['qmp.sock', 'monitor.sock', 'tpm.sock', 'state.json', 'plan.json', 'journal', 'qemu.pid'])
      expect(lstatSync(join(runDir, name)).mode & 0o077, name).toBe(0);
    expect(lstatSync(join(stateDir, 'qemu.log')).mode & 0o777).toBe(0o600);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('does not run a VM twice on one state, whatever run directory it is given', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    const elsewhere = { ...plan, vm: { ...plan.vm, runDir: join(lab.runRoot, 'elsewhere') } };
    await expect(launch(elsewhere)).rejects.toMatchObject({
      exit: 4,
      message: `VM vm is already running (pid ${state.qemu?.pid}), with its sockets in ${plan.vm.runDir}`,
    });
    // A logout takes the run directory away.
    rmSync(plan.vm.runDir, { recursive: true });
    await expect(launch(plan)).rejects.toMatchObject({
      exit: 4,
      diagnostics: [{ help: expect.stringContaining(`kill ${state.qemu?.pid}`) }],
    });
    if (state.qemu) await endProcess(state.qemu);
    await launch(plan);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('records processes that can be told apart from later ones', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    expect(state.qemu && isAlive(state.qemu)).toBe(true);
    expect(readFileSync(`/proc/${state.qemu?.pid}/cmdline`, 'utf8')).toBe(`${state.qemu?.argv.join('\0')}\0`);
    expect(state.sidecars.map(({ name, when }) => [name, when])).toEqual([['swtpm', 'before']]);
    expect(state.sidecars.every(isAlive)).toBe(true);
    await stop(plan.vm, { force: true });
  });

  it('gives QEMU nothing of its own: no descriptor, no directory, no terminal, no variable of Node', async () => {
    process.env['NODE_EZVM_TEST'] = 'x';
    const { state } = await launch(buildPlan(lab), { session: { DISPLAY: ':7' } });
    delete process.env['NODE_EZVM_TEST'];
    const proc = `/proc/${state.qemu?.pid}`;
    const files = readdirSync(`${proc}/fd`).map((fd) => readlinkSync(`${proc}/fd/${fd}`));
    expect(files.filter((file) => /\.lock|journal|state\.json/.test(file))).toEqual([]);
    expect(readlinkSync(`${proc}/cwd`)).toBe('/');
    const environment = readFileSync(`${proc}/environ`, 'utf8').split('\0');
    expect(environment.filter((entry) => entry.startsWith('NODE_'))).toEqual([]);
    expect(environment).toContain('DISPLAY=:7');
    const session = readFileSync(`${proc}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
    expect(Number(session)).toBe(state.qemu?.pid);
  });

  it('warns of too little memory, and starts all the same', async () => {
    const requirement = { kind: 'memory', bytes: 2 ** 50, origin: { file: 'vm.yaml', line: 2, column: 9 } } as const;
    const { warnings } = await launch(buildPlan(lab, { requirements: [requirement] }));
    expect(warnings).toMatchObject([{ severity: 'warning', code: 'memory-short', origin: requirement.origin }]);
    expect(warnings[0]?.message).toMatch(/^the VM may use 1P of memory, but only [\d.]+G are available$/);
  });
});

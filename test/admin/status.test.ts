import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SidecarStatus } from '../../src/admin/crash.ts';
import { endProcess, isAlive } from '../../src/admin/process.ts';
import { runQmp } from '../../src/admin/qmp.ts';
import { statusOf, statusOfAll } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import { buildPlan, guestUp, type Lab, makeLab, until, withTpm } from '../launch/plan-builder.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

describe('status', () => {
  it('of a running VM is complete and plain JSON', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    const status = await statusOf('vm', plan.vm.runDir);
    expect(status).toEqual({
      name: 'vm',
      condition: 'running',
      file: plan.vm.file,
      pid: state.qemu?.pid,
      uptime: expect.any(Number),
      sockets: { qmp: plan.vm.qmpSocket, monitor: plan.vm.monitorSocket },
      relaxed: [],
      guest: [],
      sidecars: [{ name: 'swtpm', pid: state.sidecars[0]?.pid, alive: true, needed: true, restartable: false }],
    });
    expect(status.uptime).toBeGreaterThanOrEqual(0);
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
  });

  it('names a sidecar that was lost, with what it said', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { state } = await launch(plan);
    const [swtpm] = state.sidecars;
    process.kill(swtpm?.pid ?? 0, 'SIGKILL');
    const lost = async (): Promise<SidecarStatus | undefined> => (await statusOf('vm', plan.vm.runDir)).sidecars[0];
    await until('the reason of its end', async () => (await lost())?.reason !== undefined);
    expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');
    expect(await lost()).toEqual({
      name: 'swtpm',
      pid: swtpm?.pid,
      alive: false,
      needed: true,
      restartable: false,
      reason: 'was killed by SIGKILL',
      ended: expect.stringMatching(/^\d{4}-.*Z$/),
      said: [],
    });
  });

  it('says who paused the guest, or what', async () => {
    const plan = buildPlan(lab);
    await launch(plan);
    await runQmp(plan.vm, 'stop');
    expect(await statusOf('vm', plan.vm.runDir)).toMatchObject({ condition: 'paused', reason: 'somebody paused it' });
  });

  it("says that the host's disk is full, and which", async () => {
    const plan = buildPlan(lab, { guest: 'writer' });
    const disk = join(lab.dir, 'vm.img');
    const argv = plan.qemu.argv.map((word) =>
      word.startsWith('if=ide,')
        ? `if=ide,werror=enospc,format=raw,file.driver=blkdebug,file.image.filename=${disk},file.inject-error.0.event=write_aio,file.inject-error.0.errno=28`
        : word,
    );
    await launch({ ...plan, qemu: { ...plan.qemu, argv } });
    await until('the write', async () => (await statusOf('vm', plan.vm.runDir)).condition === 'paused');
    const { reason } = await statusOf('vm', plan.vm.runDir);
    expect(reason).toContain("the host's disk is full");
    expect(reason).toContain(disk);
    await stop(plan.vm, { force: true });
  });

  it('of all VMs hides none, and removes what dead ones left', async () => {
    const [up, dead] = [buildPlan(lab, { name: 'up' }), buildPlan(lab, { name: 'dead' })];
    await launch(up);
    const { state } = await launch(dead);
    process.kill(state.qemu?.pid ?? 0, 'SIGKILL');
    await until('its end', () => !state.qemu || !isAlive(state.qemu));
    mkdirSync(join(lab.runRoot, 'empty'), { mode: 0o700 });
    const conditions = async (): Promise<string[]> =>
      (await statusOfAll(lab.runRoot, join(lab.dir, 'state'))).map(({ name, condition }) => `${name} ${condition}`);
    expect(await conditions()).toEqual(['dead crashed', 'empty stopped', 'up running']);
    expect(await conditions()).toEqual(['up running']);
  });

  it('of all VMs tells of one whose sockets are elsewhere, as from another login, or gone', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    const all = (): Promise<unknown> => statusOfAll(join(lab.dir, 'other-login'), join(lab.dir, 'state'));
    expect(await all()).toMatchObject([
      { name: 'vm', condition: 'running', file: plan.vm.file, sockets: { qmp: plan.vm.qmpSocket } },
    ]);
    rmSync(plan.vm.runDir, { recursive: true });
    expect(await all()).toMatchObject([{ name: 'vm', condition: 'damaged', pid: state.qemu?.pid }]);
    if (state.qemu) await endProcess(state.qemu);
    expect(await all()).toEqual([]);
  });

  it('says of a QEMU that is stopped how it goes on', async () => {
    const plan = buildPlan(lab);
    const { state } = await launch(plan);
    const pid = state.qemu?.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    await until('it has stopped', async () => (await statusOf('vm', plan.vm.runDir)).condition === 'paused');
    const { reason } = await statusOf('vm', plan.vm.runDir);
    expect(reason).toBe(`QEMU is stopped; let it go on: kill -CONT ${pid}`);
    process.kill(pid, 'SIGCONT');
    await until('it goes on', async () => (await statusOf('vm', plan.vm.runDir)).condition === 'running');
    await stop(plan.vm, { force: true });
  });

  it('of a VM that was never started is stopped', async () => {
    expect(await statusOf('vm', join(lab.runRoot, 'vm'))).toEqual({ name: 'vm', condition: 'stopped', sidecars: [] });
    expect(await statusOfAll(lab.runRoot, join(lab.dir, 'state'))).toEqual([]);
  });

  it('does not wait for ever for a monitor that somebody else holds', async () => {
    const plan = buildPlan(lab);
    await launch(plan);
    await guestUp(lab);
    const { connect } = await import('node:net');
    const client = connect(plan.vm.qmpSocket);
    await new Promise((resolve) => client.once('data', resolve));
    const status = await statusOf('vm', plan.vm.runDir);
    client.destroy();
    expect(status.condition).toBe('running');
    expect(status.reason).toContain('one client at a time');
  });
});

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { helperWords, planGivingBack } from '../../src/plan/helper.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { PlannedHelper } from '../../src/plan/planned-qemu.ts';
import type { QemuOption } from '../../src/qemu/option.ts';
import { buildLauncher, type Ended, type Job, runLauncher } from '../fault/launcher-process.ts';
import { buildPlan, guestUp, type Lab, makeLab, QEMU, until } from '../launch/plan-builder.ts';
import { FakePci } from '../priv/fake-pci.ts';
import { CAN, makeLab as makePrivLab, type PrivLab, WHY } from '../priv/lab.ts';

const CARD = '0000:01:00.0';
const RECORD = 'run/ezvm-priv/group-7';

let bin: string;
let program: string;
let priv: PrivLab;
let pci: FakePci;
let lab: Lab;
let group: number;
beforeAll(async () => {
  if (!CAN) return;
  bin = mkdtempSync(join(tmpdir(), 'ezvm-b-'));
  chmodSync(bin, 0o755);
  program = await buildLauncher(bin);
  priv = await makePrivLab();
  group = statSync(priv.helper).gid;
  priv.policy(`allow any program ${QEMU}\nallow any pci ${CARD} 10de:2684 bind\n`);
});
afterAll(async () => {
  if (!CAN) return;
  rmSync(bin, { recursive: true, force: true });
  await priv.sweep();
});
beforeEach(() => {
  if (!CAN) return;
  pci = new FakePci(priv);
  pci.add(CARD);
  lab = makeLab();
});
afterEach(async () => {
  await lab?.sweep();
  pci?.end();
});

/** A plan whose QEMU is started by the helper, with a device; this QEMU does not use it. */
function lendingPlan(options: readonly QemuOption[] = [], isWatched = false): Plan {
  const plan = buildPlan(lab, { options });
  const grant = { word: `--pci=${CARD}`, what: CARD, kind: 'pci', line: '' } as const;
  const helper: PlannedHelper = { program: priv.helper, vm: 'vm', grants: [grant], kept: [3] };
  const sidecars = isWatched ? planGivingBack(helper) : [];
  return { ...plan, sidecars, qemu: { ...plan.qemu, helper, wrapper: helperWords(helper) } };
}

/** Runs a program of the member's. */
function run(job: Job): Promise<Ended> {
  spawnSync('chown', ['-R', String(priv.member.uid), lab.dir]);
  return runLauncher(program, lab, { gid: group, ...job, uid: priv.member.uid });
}

function expectGivenBack(): void {
  expect([pci.driver(CARD), pci.override(CARD)]).toEqual(['nouveau', '(null)']);
  if (existsSync(priv.path(RECORD))) expect(readFileSync(priv.path(RECORD), 'utf8').trim()).toBe('');
  expect(lab.leftovers().filter((name) => name !== '.vm.lock')).toEqual([]);
}

describe.skipIf(!CAN)(`a device that the helper has lent (in a tree like sysfs)${WHY}`, () => {
  it('is the VM’s until it is stopped', async () => {
    const plan = lendingPlan();
    const { code, stderr, diagnostics } = await run({ plan });
    expect([code, stderr, diagnostics]).toEqual([0, '', undefined]);
    await guestUp(lab);
    expect(pci.driver(CARD)).toBe('vfio-pci');
    expect(await run({ plan, verb: 'stop' })).toMatchObject({ code: 0, stderr: '' });
    expectGivenBack();
  });

  it('is given back when QEMU does not start', async () => {
    const { code, diagnostics } = await run({ plan: lendingPlan([{ name: 'cpu', args: 'none' }]) });
    expect([code, diagnostics?.[0]?.code]).toEqual([3, 'qemu-refused']);
    expect(pci.done).toContain(`bind ${CARD} vfio-pci`);
    expectGivenBack();
  });

  it('is given back by the next look at a VM whose QEMU was killed', async () => {
    const plan = lendingPlan();
    const { state } = await run({ plan });
    process.kill(state?.qemu?.pid ?? 0, 'SIGKILL');
    expect(await run({ plan, verb: 'status' })).toMatchObject({ code: 0, condition: 'crashed' });
    expectGivenBack();
  });

  it('is given back by who waits for the end of QEMU', async () => {
    const { state } = await run({ plan: lendingPlan([], true) });
    expect(state?.sidecars.map(({ name }) => name)).toEqual(['give-back']);
    process.kill(state?.qemu?.pid ?? 0, 'SIGKILL');
    await until('the driver', () => pci.driver(CARD) === 'nouveau');
  });

  it('is given back after an ezvm that was killed, at any moment, unless the guest has run', async () => {
    const plan = lendingPlan([], true);
    const { moments = [] } = await run({ plan });
    await run({ plan, verb: 'stop' });
    expect(moments).toEqual(expect.arrayContaining(['qemu: lent', 'qemu: spawn', 'qemu: note', 'qemu: ready']));
    for (const moment of moments.slice(moments.indexOf('qemu: lent'))) {
      const hasRun = moments.indexOf(moment) >= moments.indexOf('qemu: continued');
      expect((await run({ plan, killAt: moment })).signal).toBe('SIGKILL');
      const { condition, stderr } = await run({ plan, verb: 'status' });
      expect([moment, stderr, condition === 'running']).toEqual([moment, '', hasRun]);
      if (hasRun) {
        expect([moment, pci.driver(CARD)]).toEqual([moment, 'vfio-pci']);
        await run({ plan, verb: 'stop' });
      }
      expect([moment, pci.driver(CARD)]).toEqual([moment, 'nouveau']);
      expectGivenBack();
    }
  });

  it('is given back when the start is interrupted, at any moment', async () => {
    const plan = lendingPlan([], true);
    const { moments = [] } = await run({ plan });
    await run({ plan, verb: 'stop' });
    const before = moments.slice(moments.indexOf('qemu: lent'), moments.indexOf('qemu: continuing'));
    for (const moment of before) {
      const { code, diagnostics } = await run({ plan, signalAt: moment });
      expect([moment, code, diagnostics?.map((one) => one.code)]).toEqual([moment, 143, ['interrupted']]);
      expectGivenBack();
    }
  });

  it('is kept when the helper is gone, until it is there again', async () => {
    const plan = lendingPlan();
    await run({ plan });
    renameSync(priv.helper, `${priv.helper}.away`);
    const { code, diagnostics } = await run({ plan, verb: 'stop' });
    renameSync(`${priv.helper}.away`, priv.helper);
    expect([code, diagnostics?.[0]?.message]).toEqual([4, expect.stringMatching(/is gone; install it again/)]);
    expect(await run({ plan, verb: 'status' })).toMatchObject({ condition: 'stopped' });
    expectGivenBack();
  });

  it('that no driver takes back is told each time, until that is mended', async () => {
    const plan = lendingPlan();
    await run({ plan });
    pci.broken.add('nouveau');
    const { code, diagnostics } = await run({ plan, verb: 'stop' });
    expect([code, diagnostics?.map((one) => one.code)]).toEqual([4, ['devices-kept']]);
    expect(diagnostics?.[0]?.message).toMatch(/not given back: driver nouveau does not take .*modprobe nouveau/);
    expect(await run({ plan, verb: 'status' })).toMatchObject({ condition: 'damaged' });
    pci.broken.clear();
    expect(await run({ plan, verb: 'status' })).toMatchObject({ condition: 'stopped' });
    expectGivenBack();
  });
});

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../../src/admin/status.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, QEMU, SWTPM, until, withTpm } from '../launch/plan-builder.ts';
import { buildLauncher, runLauncher, startLauncher } from './launcher-process.ts';

const VARS = 'firmware variables\n'.repeat(1000);

let bin: string;
let program: string;
let moments: readonly string[];

/** A plan with every kind of change: folder, copied file, created disk, sidecar before and after. */
function fullPlan(lab: Lab): Plan {
  const template = join(lab.dir, 'VARS.template');
  writeFileSync(template, VARS);
  const tpm = withTpm(lab);
  return buildPlan(lab, {
    ...tpm,
    steps: [
      ...tpm.steps,
      { do: 'copy', from: template, to: varsPath(lab), mode: 0o600 },
      {
        do: 'create-image',
        path: imagePath(lab),
        format: 'qcow2',
        size: 2 ** 30,
        preallocation: 'off',
        program: '/usr/bin/qemu-img',
      },
    ],
    sidecars: [
      ...tpm.sidecars,
      {
        name: 'viewer',
        argv: ['/usr/bin/tail', '-f', template],
        when: 'after',
        needs: { socket: join(lab.runRoot, 'vm', 'qmp.sock') },
      },
    ],
  });
}

function varsPath(lab: Lab): string {
  return join(lab.dir, 'state', 'vm', 'VARS.fd');
}

function imagePath(lab: Lab): string {
  return join(lab.dir, 'new.qcow2');
}

function checkVars(lab: Lab): void {
  if (existsSync(varsPath(lab))) expect(readFileSync(varsPath(lab), 'utf8')).toBe(VARS);
}

function count(lab: Lab, binary: string): number {
  return lab.processes().filter(({ argv }) => argv[0] === binary).length;
}

async function inLab(test: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = makeLab();
  try {
    await test(lab);
  } finally {
    await lab.sweep();
  }
}

/** Runs a test for each moment, a few at a time. */
async function eachMoment(test: (moment: string, lab: Lab) => Promise<void>): Promise<void> {
  const queue = [...moments];
  const work = async (): Promise<void> => {
    for (let moment = queue.shift(); moment !== undefined; moment = queue.shift()) {
      const name = moment;
      try {
        await inLab((lab) => test(name, lab));
      } catch (error) {
        throw new Error(`at "${name}": ${(error as Error).message}`, { cause: error });
      }
    }
  };
  await Promise.all([work(), work(), work(), work()]);
}

/** Whether the guest has run by then, so that it must not be thrown away. */
function isLetGo(moment: string): boolean {
  return moments.indexOf(moment) >= moments.indexOf('qemu: continued');
}

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'ezvm-b-'));
  program = await buildLauncher(bin);
  await inLab(async (lab) => {
    const plan = fullPlan(lab);
    const recorded = await runLauncher(program, lab, { plan });
    expect(recorded.stderr).toBe('');
    expect(recorded.code).toBe(0);
    moments = recorded.moments ?? [];
    await stop(plan.vm, { force: true });
  });
}, 120_000);
afterAll(() => rmSync(bin, { recursive: true, force: true }));

describe('a launcher that is killed', () => {
  it('has moments between all of its changes', () => {
    expect(moments).toContain('settled');
    expect(moments).toContain('copy VARS.fd: rename');
    expect(moments).toContain('create new.qcow2: rename');
    for (const name of ['swtpm', 'qemu', 'viewer'])
      for (const moment of ['intend', 'spawn', 'note', 'noted', 'recorded'])
        expect(moments).toContain(`${name}: ${moment}`);
    expect(new Set(moments).size).toBe(moments.length);
  });

  it('leaves nothing that a second start does not mend, at any moment', async () => {
    await eachMoment(async (moment, lab) => {
      const plan = fullPlan(lab);
      const first = await runLauncher(program, lab, { plan, killAt: moment });
      expect(first.signal).toBe('SIGKILL');
      checkVars(lab);
      const guest = lab.processes().find(({ argv }) => argv[0] === QEMU)?.pid;

      const second = await runLauncher(program, lab, { plan });
      if (isLetGo(moment)) {
        expect(second.code).toBe(4);
        expect(second.diagnostics?.map(({ code }) => code)).toEqual(['vm-up']);
        expect(lab.processes().find(({ argv }) => argv[0] === QEMU)?.pid).toBe(guest);
      } else {
        expect(second.stderr).toBe('');
        expect(second.code).toBe(0);
      }
      expect(count(lab, QEMU)).toBe(1);
      expect(count(lab, SWTPM)).toBe(1);
      expect(count(lab, '/usr/bin/tail')).toBeLessThanOrEqual(1);
      checkVars(lab);

      await stop(plan.vm, { force: true });
      expect(lab.leftovers()).toEqual([]);
    });
  }, 600_000);

  it('is tidied up after by status alone, unless the guest has run', async () => {
    await eachMoment(async (moment, lab) => {
      const plan = fullPlan(lab);
      await runLauncher(program, lab, { plan, killAt: moment });
      const { condition } = await statusOf('vm', plan.vm.runDir);
      if (isLetGo(moment)) {
        expect(condition).toBe('running');
        await stop(plan.vm, { force: true });
      } else {
        expect(['crashed', 'stopped']).toContain(condition);
        expect(readdirSync(lab.dir).filter((name) => name.startsWith('new.qcow2'))).toEqual([]);
      }
      // A launcher killed with the lock and nothing else leaves its file; the next one to lock removes it.
      expect(lab.leftovers().filter((name) => name !== '.vm.lock')).toEqual([]);
      expect(existsSync(`${varsPath(lab)}.new`)).toBe(false);
    });
  }, 600_000);

  it('twice at the same moment is no worse than once', async () => {
    await eachMoment(async (moment, lab) => {
      const plan = fullPlan(lab);
      await runLauncher(program, lab, { plan, killAt: moment });
      const second = await runLauncher(program, lab, { plan, killAt: moment });
      const third = await runLauncher(program, lab, { plan });
      // What is made only once has no such moment the second time.
      expect(third.code).toBe(isLetGo(moment) || second.code === 0 ? 4 : 0);
      await stop(plan.vm, { force: true });
      expect(lab.leftovers()).toEqual([]);
    });
  }, 600_000);

  it('while it tidies up is tidied up after', async () => {
    await inLab(async (lab) => {
      const socket = join(lab.runRoot, 'vm', 'deaf.sock');
      const deaf = `trap '' TERM; echo deaf > ${lab.dir}/deaf; while :; do sleep 1; done`;
      const plan = buildPlan(lab, {
        sidecars: [{ name: 'deaf', argv: ['/bin/sh', '-c', deaf], when: 'before', ready: { socket, timeout: 60 } }],
      });
      const first = startLauncher(program, lab, { plan });
      await until('the sidecar', () => existsSync(join(lab.dir, 'deaf')));
      first.child.kill('SIGKILL');
      await first.ended;
      const second = startLauncher(program, lab, { plan });
      await until(
        'its lock',
        () => existsSync(join(lab.runRoot, '.vm.lock')) && readLock(lab).includes(String(second.child.pid)),
      );
      second.child.kill('SIGKILL');
      await second.ended;
      expect(lab.processes().filter(({ argv }) => argv[1] === '-c' && argv[2] === deaf)).toHaveLength(1);

      await statusOf('vm', plan.vm.runDir);
      expect(lab.leftovers()).toEqual([]);
    });
  }, 120_000);
});

describe('a launcher that gets SIGTERM', () => {
  it('undoes everything at any moment before the guest runs, and finishes afterwards', async () => {
    await eachMoment(async (moment, lab) => {
      const plan = fullPlan(lab);
      const ended = await runLauncher(program, lab, { plan, signalAt: moment });
      checkVars(lab);
      // The last look at signals is right before `cont` is prepared.
      if (moments.indexOf(moment) > moments.indexOf('qemu: continue')) {
        expect(ended.code).toBe(0);
        expect(count(lab, QEMU)).toBe(1);
        await stop(plan.vm, { force: true });
      } else {
        expect(ended.code).toBe(143);
        expect(ended.diagnostics?.map(({ code }) => code)).toEqual(['interrupted']);
      }
      expect(lab.leftovers()).toEqual([]);
      expect(existsSync(`${varsPath(lab)}.new`)).toBe(false);
      if (moment === 'mkdir vm: made') expect(existsSync(plan.vm.stateDir)).toBe(false);
    });
  }, 600_000);
});

function readLock(lab: Lab): string {
  return readFileSync(join(lab.runRoot, '.vm.lock'), 'latin1');
}

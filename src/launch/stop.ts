import { existsSync } from 'node:fs';
import { sidecarStatuses } from '../admin/crash.ts';
import { lockVm } from '../admin/lock.ts';
import { awaitEnd, endProcess, identify, isAlive, isStopped } from '../admin/process.ts';
import { type QmpTarget, withQmp } from '../admin/qmp.ts';
import { isUp, readBootedPlan, readState, writeState } from '../admin/state.ts';
import { settle, tidy, type UpState } from '../admin/tidy.ts';
import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { Plan } from '../plan/plan.ts';
import { type QmpClient, QmpError } from '../qemu/qmp.ts';

/** The VM to stop; `PlannedVm` is one. */
export interface StopTarget {
  readonly name: string;
  readonly runDir: string;
}

/** How to stop. */
export interface StopOptions {
  /** Do not ask the guest. */
  readonly force?: boolean;
  /** What the guest gets for its shutdown; the booted plan's `stopTimeout` unless given. */
  readonly timeoutMs?: number;
  readonly onProgress?: (text: string) => void;
}

/** Guests ignore a power button that is pressed before they look at it. */
const PRESS_AGAIN = 5000;
/** What QEMU gets to close its disks after `quit`, and again after SIGTERM. */
const FORCE_GRACE = 5000;
/** What a healthy QEMU never needs to answer. */
const ANSWER = 2000;

/**
 * Ends a VM and removes what it leaves: by its power button, or with `force` by ending QEMU.
 * It needs only what the run directory holds, so it works whatever became of the ezvm that started the VM.
 * @throws EzvmError exit 4 when the VM is not running, or the guest has not shut down in time and runs on
 */
export async function stop(vm: StopTarget, options: StopOptions = {}): Promise<void> {
  const { name, runDir } = vm;
  const state = await claim(vm);
  if (!state) return;
  const plan = readBootedPlan(runDir);
  const timeoutMs = options.timeoutMs ?? (plan?.stopTimeout ?? 90) * 1000;
  if (options.force || !plan) await endQemu(vm, plan?.vm, state);
  else {
    const obstacle = await shutDown(plan, state, timeoutMs, options.onProgress ?? (() => {}));
    if (isAlive(state.qemu)) {
      await unclaim(vm);
      throw obstacle ?? deaf(name, timeoutMs);
    }
  }
  await tidy(name, runDir);
}

/**
 * Notes in the state that this process stops the VM. The lock is not kept: `stop --force` must get past a patient `stop`.
 * @returns undefined when the VM was only half started and has been removed
 */
async function claim(vm: StopTarget): Promise<UpState | undefined> {
  const { name, runDir } = vm;
  if (!existsSync(runDir)) throw notRunning(name);
  const lock = await lockVm(name, runDir, 'stop');
  try {
    const before = readState(runDir);
    const wasUp = isUp(before);
    const up = await settle(runDir);
    if (!up && wasUp) return undefined;
    if (!up) throw notRunning(name, 'what was left of it is removed');
    const stopper = identify(process.pid);
    const claimed: UpState = { ...up, phase: 'stopping', ...(stopper && { stopper }) };
    try {
      writeState(runDir, claimed);
    } catch {
      // Others see a VM that runs, and not that it is being stopped; on a full disk that is all that is lost.
    }
    return claimed;
  } finally {
    lock.release();
  }
}

/** Takes the claim back, unless another ezvm has meanwhile claimed the VM for itself. */
async function unclaim(vm: StopTarget): Promise<void> {
  const lock = await lockVm(vm.name, vm.runDir, 'stop');
  try {
    const state = readState(vm.runDir);
    if (state?.stopper?.pid !== process.pid) return;
    const { stopper: _, ...rest } = state;
    writeState(vm.runDir, { ...rest, phase: 'running' });
  } finally {
    lock.release();
  }
}

/** Presses the power button until QEMU has ended or time is up; gives what kept it from being pressed the last time. */
async function shutDown(
  plan: Plan,
  state: UpState,
  timeoutMs: number,
  progress: (text: string) => void,
): Promise<EzvmError | undefined> {
  const { vm } = plan;
  const deadline = performance.now() + timeoutMs;
  const left = (): number => Math.max(0, deadline - performance.now());
  let obstacle: EzvmError | undefined;
  progress(`asking ${vm.name} to shut down`);
  do {
    try {
      await withQmp(vm, (qmp) => press(qmp, progress), Math.min(PRESS_AGAIN, left()));
      obstacle = undefined;
    } catch (error) {
      if (error instanceof QmpError) obstacle = fault(EXIT.state, 'qmp-refused', error.message);
      else if (error instanceof EzvmError) obstacle = error;
      else throw error;
      const stuck = findStuck(plan, state);
      if (stuck) return stuck;
    }
  } while (!(await awaitEnd(state.qemu, Math.min(PRESS_AGAIN, left()))) && left() > 0);
  return obstacle;
}

async function press(qmp: QmpClient, progress: (text: string) => void): Promise<void> {
  const { status } = (await qmp.execute('query-status', undefined, ANSWER)) as { status: string };
  const action = ACTIONS[status];
  if (action) {
    progress(`${action.why}; ${action.says}`);
    await qmp.execute(action.command, undefined, ANSWER);
  }
  if (action?.command !== 'quit') await qmp.execute('system_powerdown', undefined, ANSWER);
}

/** What must come before the button in states in which a guest cannot feel it. */
const ACTIONS: { readonly [status: string]: { why: string; says: string; command: string } | undefined } = {
  prelaunch: { why: 'the guest has never run', says: 'ending QEMU', command: 'quit' },
  inmigrate: { why: 'the guest has never run', says: 'ending QEMU', command: 'quit' },
  shutdown: { why: 'the guest has shut down', says: 'ending QEMU', command: 'quit' },
  'guest-panicked': { why: 'the guest has crashed', says: 'ending QEMU', command: 'quit' },
  'internal-error': { why: 'the guest cannot go on', says: 'ending QEMU', command: 'quit' },
  paused: { why: 'the guest is paused', says: 'letting it go on', command: 'cont' },
  'io-error': { why: 'the guest is paused by a disk error', says: 'letting it try again', command: 'cont' },
  suspended: { why: 'the guest sleeps', says: 'waking it', command: 'system_wakeup' },
};

/** Ends QEMU in the gentlest way that works. */
async function endQemu(vm: StopTarget, monitor: QmpTarget | undefined, state: UpState): Promise<void> {
  try {
    if (monitor) await withQmp(monitor, (qmp) => qmp.execute('quit', undefined, ANSWER), ANSWER);
    await awaitEnd(state.qemu, FORCE_GRACE);
  } catch (error) {
    // A monitor that is gone, held by another client or hung is what signals are for.
    if (!(error instanceof EzvmError)) throw error;
  }
  if (await endProcess(state.qemu, FORCE_GRACE)) return;
  throw fault(
    EXIT.state,
    'process-stuck',
    `QEMU of VM ${vm.name} (pid ${state.qemu.pid}) does not end, not even by SIGKILL`,
    {
      help: 'it waits in the kernel for a device; stop it again later',
    },
  );
}

function notRunning(name: string, more?: string): EzvmError {
  return fault(EXIT.state, 'vm-down', `VM ${name} is not running${more ? `; ${more}` : ''}`, {
    help: 'see all that do: ezvm list',
  });
}

/** A QEMU that is stopped, or waits for a program which is, cannot feel any button. */
function findStuck(plan: Plan, state: UpState): EzvmError | undefined {
  const { name } = plan.vm;
  const others = `or end the VM without asking: ezvm stop --force ${name}`;
  if (isStopped(state.qemu))
    return fault(EXIT.state, 'qemu-hung', `QEMU of VM ${name} (pid ${state.qemu.pid}) is stopped`, {
      help: `let it go on: kill -CONT ${state.qemu.pid}, ${others}`,
    });
  const stopped = sidecarStatuses(state, plan).filter((one) => one.stopped && one.needed);
  if (stopped.length === 0) return undefined;
  const pids = stopped.map(({ pid }) => pid).join(' ');
  const names = stopped.map((one) => `${one.name} (pid ${one.pid})`).join(' and ');
  return fault(EXIT.state, 'qemu-hung', `QEMU of VM ${name} hangs: it waits for ${names}, which is stopped`, {
    help: `let it go on: kill -CONT ${pids}, ${others}`,
  });
}

function deaf(name: string, timeoutMs: number): EzvmError {
  return fault(EXIT.state, 'guest-deaf', `VM ${name} has not shut down within ${timeoutMs / 1000} s and runs on`, {
    help: `look at its screen, give it more time, or end it without asking: ezvm stop --force ${name}`,
  });
}

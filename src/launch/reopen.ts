import { describeExit } from '../admin/exit.ts';
import { reopenJournal } from '../admin/journal.ts';
import { lockVm } from '../admin/lock.ts';
import { endProcess, isAlive } from '../admin/process.ts';
import { noteEnd } from '../admin/sidecar-end.ts';
import { readBootedPlan, writeState } from '../admin/state.ts';
import { settle, type UpState } from '../admin/tidy.ts';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { findProgram, programDirs } from '../host/programs.ts';
import type { Plan, Sidecar } from '../plan/plan.ts';
import type { Child } from './child.ts';
import { childEnvironment } from './environment.ts';
import { hostFault } from './host-fault.ts';
import { awaitNeeds, awaitReady, awaitShown, startSidecar } from './sidecar.ts';
import type { Start } from './start.ts';

/** A VM as far as its sidecars are concerned; `PlannedVm` is one. */
export interface SidecarTarget {
  readonly name: string;
  readonly runDir: string;
}

/** How to start a sidecar of a VM that runs. */
export interface ReopenOptions {
  /** What becomes of one of that name that runs. */
  readonly old: 'keep' | 'end';
  /** Variables of the graphical session for what opens windows. */
  readonly session: { readonly [variable: string]: string };
  /** Whoever asks waits for its end. */
  readonly foreground?: boolean;
  readonly onProgress?: (text: string) => void;
}

/** A sidecar that was started beside a VM that runs. */
export interface Reopened {
  readonly child: Child;
  /** The QEMU it was started for. */
  readonly qemu: UpState['qemu'];
}

/**
 * Starts a sidecar of a VM that runs, and waits until it is ready or shows something.
 * @returns undefined when one of that name runs and is kept
 * @throws EzvmError exit 3 when it cannot start, 4 when the VM is not running
 */
export async function reopen(
  vm: SidecarTarget,
  sidecar: Sidecar,
  options: ReopenOptions,
): Promise<Reopened | undefined> {
  const found = { ...sidecar, argv: findArgv(sidecar) };
  const begun = await begin(vm, found, options);
  if (!begun) return undefined;
  const { start, child, qemu } = begun;
  try {
    if (sidecar.when !== 'before') await awaitShown(start, found, child);
  } finally {
    const exit = child.exit();
    if (exit) await noteEnd(vm, { name: sidecar.name, pid: child.identity.pid }, describeExit(exit));
  }
  return { child, qemu };
}

async function begin(
  vm: SidecarTarget,
  sidecar: Sidecar,
  options: ReopenOptions,
): Promise<(Reopened & { readonly start: Start }) | undefined> {
  const lock = await lockVm(vm.name, vm.runDir, 'sidecar');
  try {
    const state = await settle(vm.runDir);
    if (!state) throw vmDown(vm.name);
    if (options.old === 'keep' && state.sidecars.some((one) => one.name === sidecar.name && isAlive(one)))
      return undefined;
    const left = await dismiss(vm, state, sidecar.name);
    const start = resume(bootedPlan(vm), left, options);
    try {
      await awaitNeeds(start, sidecar);
      const child = await startSidecar(start, sidecar);
      if (sidecar.when === 'before') await awaitReady(start, sidecar, child);
      return { start, child, qemu: state.qemu };
    } finally {
      start.journal.close();
    }
  } catch (error) {
    throw hostFault(error, `start ${sidecar.name} of VM ${vm.name}`);
  } finally {
    lock.release();
  }
}

/**
 * Ends a sidecar of a VM that runs.
 * @throws EzvmError exit 4 when the VM is not running
 */
export async function endSidecar(vm: SidecarTarget, name: string): Promise<void> {
  const lock = await lockVm(vm.name, vm.runDir, 'sidecar');
  try {
    const state = await settle(vm.runDir);
    if (!state) throw vmDown(vm.name);
    await dismiss(vm, state, name);
  } catch (error) {
    throw hostFault(error, `end ${name} of VM ${vm.name}`);
  } finally {
    lock.release();
  }
}

/** Takes it off the record first: whoever waits for its end sees by that that nobody closed it. */
async function dismiss(vm: SidecarTarget, state: UpState, name: string): Promise<UpState> {
  const left = { ...state, sidecars: state.sidecars.filter((one) => one.name !== name) };
  writeState(vm.runDir, left);
  for (const one of state.sidecars) if (one.name === name) await endProcess(one);
  return left;
}

/** A start that goes on where an earlier one has ended. */
function resume(plan: Plan, state: UpState, options: ReopenOptions): Start {
  const { session, foreground = false, onProgress = () => {} } = options;
  return {
    plan,
    state,
    journal: reopenJournal(plan.vm.runDir),
    // Nothing is undone, so a signal may end it as it ends any program.
    interruption: { reason: () => undefined, check() {}, race: (promise) => promise, end() {} },
    environment: childEnvironment(process.env, session),
    step() {},
    progress: onProgress,
    stays: foreground,
    children: [],
    claims: new Map(),
  };
}

/**
 * The plan that a running VM was started by.
 * @throws EzvmError exit 4 when it does not run
 */
export function bootedPlan({ name, runDir }: SidecarTarget): Plan {
  const plan = readBootedPlan(runDir);
  if (!plan) throw vmDown(name);
  return plan;
}

/** A program that was missing when the VM was started may have been installed since. */
function findArgv({ argv: [program = '', ...args], help, origin }: Sidecar): readonly string[] {
  if (program.startsWith('/')) return [program, ...args];
  const path = findProgram(program, programDirs(process.env['PATH'], process.geteuid?.() ?? 0));
  if (path === undefined) throw fault(EXIT.host, 'program-missing', `${program} is not installed`, { help, origin });
  return [path, ...args];
}

function vmDown(name: string): EzvmError {
  return fault(EXIT.state, 'vm-down', `VM ${name} is not running`, { help: `start it: ezvm ${name}` });
}

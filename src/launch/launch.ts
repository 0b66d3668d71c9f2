import { closeSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { forgetCrash } from '../admin/crash.ts';
import { openJournal } from '../admin/journal.ts';
import { lockVm } from '../admin/lock.ts';
import { identify } from '../admin/process.ts';
import { ensureRunRoot, removeRunDir, replaceFile, runFiles } from '../admin/run-dir.ts';
import { cutOff, findRunning, noteRunning } from '../admin/running-note.ts';
import { type RunState, writeState } from '../admin/state.ts';
import { settle } from '../admin/tidy.ts';
import { undo } from '../admin/undo.ts';
import { type Diagnostic, EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { Plan, Sidecar } from '../plan/plan.ts';
import { childEnvironment } from './environment.ts';
import { attend } from './foreground.ts';
import { hostFault } from './host-fault.ts';
import { type Interruption, watchInterruption } from './interruption.ts';
import { preflight } from './preflight.ts';
import { letGo, startQemu } from './qemu.ts';
import { findDead, recordDeaths, startAfter, startBefore } from './sidecar.ts';
import { type OnStep, record, recordReason, type Start } from './start.ts';
import { perform } from './steps.ts';
import { openWatched } from './view.ts';

/** How to launch. */
export interface LaunchOptions {
  /** Stay until QEMU ends; SIGINT and SIGTERM then shut the guest down. */
  readonly foreground?: boolean;
  /** Variables of the graphical session for what opens windows: `HostFacts.session`. */
  readonly session?: { readonly [variable: string]: string };
  /** Short texts about what is being done, for a person who waits. */
  readonly onProgress?: (text: string) => void;
  /** Called in the foreground when the VM is up. */
  readonly onRunning?: (launched: Launched) => void;
  readonly signal?: AbortSignal;
  readonly onStep?: OnStep;
  /** The words that run ezvm itself, for a viewer whose end stops the VM. */
  readonly ezvm?: readonly string[];
}

/** A VM that was started. */
export interface Launched {
  readonly state: RunState;
  /** What did not go as asked without stopping the start. */
  readonly warnings: readonly Diagnostic[];
  /** How QEMU ended, 128 + signal number for a violent end; absent while the VM is up. */
  readonly exitStatus?: number;
}

/**
 * Performs a plan. Either the VM is up when this returns, or it throws and nothing is left of the attempt.
 * @throws EzvmError exit 3 when the host or QEMU refuses, 4 when the VM is up or another ezvm works on it,
 * 128 + signal number when interrupted
 */
export async function launch(plan: Plan, options: LaunchOptions = {}): Promise<Launched> {
  const { name, runDir } = plan.vm;
  // Sockets, logs and everything QEMU and swtpm create are for this user only.
  const umask = process.umask(0o077);
  const interruption = watchInterruption(name, options.signal);
  try {
    ensureRunRoot(dirname(runDir));
    const [start, launched] = await launchLocked(plan, interruption, options);
    if (launched.exitStatus !== undefined) return launched;
    if (!options.foreground)
      return { ...launched, warnings: [...launched.warnings, ...(await openLast(start, options))] };
    options.onRunning?.(launched);
    return { ...launched, exitStatus: await attend(start, options.onProgress) };
  } catch (error) {
    throw hostFault(error, `start VM ${name}`);
  } finally {
    interruption.end();
    process.umask(umask);
  }
}

async function launchLocked(
  plan: Plan,
  interruption: Interruption,
  options: LaunchOptions,
): Promise<[Start, Launched]> {
  const { name, runDir } = plan.vm;
  const step = options.onStep ?? (() => {});
  const lock = await lockVm(name, runDir, 'start');
  try {
    await step('locked');
    const up = await settle(runDir);
    if (up)
      throw fault(EXIT.state, 'vm-up', `VM ${name} is already running (pid ${up.qemu.pid})`, {
        help: `see: ezvm status ${name}, or end it: ezvm stop ${name}`,
      });
    refuseRunningElsewhere(plan);
    await step('settled');
    const { session = {}, foreground = false } = options;
    const terminal = foreground && Boolean(process.stdin.isTTY && process.stdout.isTTY);
    const warnings = await preflight(plan, { session, terminal });
    interruption.check();
    const start = begin(plan, interruption, options);
    try {
      const status = await bringUp(start);
      const launched = status === 'ended' ? await conclude(start) : await complete(start, status, warnings, options);
      return [start, launched];
    } finally {
      start.journal.close();
    }
  } finally {
    lock.release();
  }
}

/** Two VMs on one TPM and one set of UEFI variables would ruin both. */
function refuseRunningElsewhere({ vm }: Plan): void {
  const running = findRunning(vm.stateDir);
  if (!running) return;
  const { runDir, qemu } = running;
  if (!existsSync(runDir)) throw cutOff(vm.name, running);
  throw fault(
    EXIT.state,
    'vm-up',
    `VM ${vm.name} is already running (pid ${qemu.pid}), with its sockets in ${runDir}`,
    { help: `see: ezvm status ${vm.name}, or end it: ezvm stop ${vm.name}` },
  );
}

function begin(plan: Plan, interruption: Interruption, options: LaunchOptions): Start {
  const { name, runDir } = plan.vm;
  const launcher = identify(process.pid);
  if (!launcher) throw new Error('this process is not in the process table');
  mkdirSync(runDir, { mode: 0o700 });
  const state: RunState = {
    format: 1,
    name,
    phase: 'starting',
    launcher,
    sidecars: [],
    startedAt: new Date().toISOString(),
    plan: runFiles(runDir).plan,
  };
  try {
    writeState(runDir, state);
    replaceFile(state.plan, `${JSON.stringify(plan)}\n`);
    forgetCrash(plan.vm.stateDir);
    const environment = childEnvironment(process.env, options.session ?? {});
    const { onStep: step = () => {}, onProgress: progress = () => {}, foreground: stays = false } = options;
    const journal = openJournal(runDir);
    const claims = new Map<string, number>();
    return { plan, journal, interruption, environment, step, progress, stays, children: [], claims, state };
  } catch (error) {
    removeRunDir(runDir);
    throw error;
  }
}

/** From the first change to a running guest; undoes everything if it does not get there. */
async function bringUp(start: Start): Promise<string> {
  const { plan, interruption } = start;
  try {
    await start.step('begun');
    await perform(start, { do: 'mkdir', path: plan.vm.stateDir, mode: 0o700, keep: true });
    for (const step of plan.steps) {
      interruption.check();
      await perform(start, step);
    }
    for (const sidecar of plan.sidecars) if (sidecar.when === 'before') await startBefore(start, sidecar);
    start.qemu = await startQemu(start);
    // Somebody who asked QEMU itself to wait, for a debugger, lets the guest go from the monitor.
    const status = plan.qemu.argv.includes('-S') ? 'prelaunch' : await letGo(start, start.qemu);
    if (status !== 'ended') {
      record(start, { phase: 'running' });
      noteRunning(plan.vm.stateDir, { runDir: plan.vm.runDir, qemu: start.qemu.child.identity });
    }
    await start.step('running');
    return status;
  } catch (error) {
    abandon(start);
    const left = await undo(plan.vm.runDir, start.journal.changes, 'failed').then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(left instanceof EzvmError)) throw left ?? error;
    const cause = hostFault(error, `start VM ${plan.vm.name}`);
    throw cause instanceof EzvmError ? new EzvmError([...cause.diagnostics, ...left.diagnostics], cause.exit) : cause;
  }
}

async function complete(
  start: Start,
  status: string,
  foretold: readonly Diagnostic[],
  { foreground }: LaunchOptions,
): Promise<Launched> {
  const warnings = [...foretold];
  const dead = await findDead(start);
  if (dead) warnings.push(...dead.diagnostics);
  recordDeaths(start);
  for (const sidecar of start.plan.sidecars) {
    if (sidecar.when !== 'after') continue;
    const obstacle = obstacleTo(sidecar, foretold);
    if (obstacle !== undefined) recordReason(start, sidecar.name, obstacle);
    else if (!sidecar.onClose || foreground) warnings.push(...(await startAfter(start, sidecar)));
  }
  if (status !== 'running')
    warnings.push({ severity: 'warning', code: 'vm-not-running', message: `VM ${start.plan.vm.name} is ${status}` });
  if (!foreground) abandon(start);
  return { state: start.state, warnings };
}

async function conclude(start: Start): Promise<Launched> {
  abandon(start);
  await undo(start.plan.vm.runDir, start.journal.changes, 'ended');
  return { state: start.state, warnings: [], exitStatus: 0 };
}

/** Why a viewer need not be tried, which the user has been told before the start. */
function obstacleTo({ name, argv: [program = ''] }: Sidecar, foretold: readonly Diagnostic[]): string | undefined {
  if (!program.startsWith('/')) return `${program === name ? '' : `${program} `}was not installed`;
  return foretold.some(({ code }) => code === 'session-missing') ? 'had no graphical session to open in' : undefined;
}

/** Opens the viewers whose end stops the VM: the ezvm that waits for it needs the lock that the start held. */
async function openLast({ plan, state }: Start, options: LaunchOptions): Promise<Diagnostic[]> {
  const warnings: Diagnostic[] = [];
  for (const sidecar of plan.sidecars) {
    if (sidecar.when !== 'after' || !sidecar.onClose || state.reasons?.[sidecar.name] !== undefined) continue;
    try {
      const { session = {}, ezvm = [] } = options;
      await openWatched(plan, sidecar, { session, ezvm });
    } catch (error) {
      if (!(error instanceof EzvmError)) throw error;
      warnings.push(...error.diagnostics.map((one) => ({ ...one, severity: 'warning' }) as const));
    }
  }
  return warnings;
}

/** Lets go of every child and of what QEMU was to get, so that nothing keeps ezvm from exiting. */
function abandon(start: Start): void {
  for (const fd of start.claims.values()) closeSync(fd);
  start.claims.clear();
  start.qemu?.qmp.close();
  for (const child of start.children) {
    child.channel?.destroy();
    child.release();
  }
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EzvmError } from '../core/diagnostic.ts';
import type { Plan } from '../plan/plan.ts';
import type { Relaxation } from '../plan/planned-qemu.ts';
import { connectQmp, type QmpClient } from '../qemu/qmp.ts';
import { findCrash, readCrash, type SidecarStatus, sidecarStatuses } from './crash.ts';
import { isAlive, isStopped } from './process.ts';
import { listRunDirs, refuseForeign } from './run-dir.ts';
import { cutOff, findRunning } from './running-note.ts';
import { isUp, type RunState, readBootedPlan, readState } from './state.ts';
import { tidy } from './tidy.ts';

/**
 * `crashed`: QEMU, or the ezvm that was starting it, did not end by itself; told until the VM is started again.
 * `damaged`: the run directory holds what this ezvm cannot read or remove, or is gone while QEMU runs.
 */
export type VmCondition = 'running' | 'paused' | 'starting' | 'stopping' | 'crashed' | 'stopped' | 'damaged';

/** What `ezvm status` knows about a VM: plain JSON. */
export interface VmStatus {
  readonly name: string;
  readonly condition: VmCondition;
  /** Why it is paused, crashed or damaged. */
  readonly reason?: string;
  readonly pid?: number;
  /** Seconds since it was started. */
  readonly uptime?: number;
  /** Absolute path of the VM file it was started from. */
  readonly file?: string;
  readonly sockets?: { readonly qmp: string; readonly monitor: string };
  /** Where its QEMU is less confined than it could be. */
  readonly relaxed?: readonly Relaxation[];
  readonly sidecars: readonly SidecarStatus[];
  /** What is left to do inside the guest, such as commands that mount folders. */
  readonly guest?: readonly string[];
  /** What QEMU said last, of a VM that crashed. */
  readonly said?: readonly string[];
}

const PATIENCE = 2000;

/**
 * The status of every VM that has a run directory, by name. What dead ones left is removed on the way.
 * @param stateRoot where those are noted that run with their sockets elsewhere, as from another login
 */
export async function statusOfAll(runRoot: string, stateRoot: string): Promise<VmStatus[]> {
  const here = listRunDirs(runRoot);
  const elsewhere = listRunDirs(stateRoot).filter((name) => !here.includes(name));
  const found = await Promise.all([
    ...here.map((name) => statusOf(name, join(runRoot, name))),
    ...elsewhere.map((name) => statusElsewhere(name, join(stateRoot, name))),
  ]);
  return found.filter((status) => status !== undefined).toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

async function statusElsewhere(name: string, stateDir: string): Promise<VmStatus | undefined> {
  const note = findRunning(stateDir);
  if (!note) return undefined;
  try {
    if (!existsSync(note.runDir)) throw cutOff(name, note);
    refuseForeign(dirname(note.runDir));
  } catch (error) {
    return { name, condition: 'damaged', reason: (error as Error).message, pid: note.qemu.pid, sidecars: [] };
  }
  return statusOf(name, note.runDir);
}

/**
 * The status of one VM. What it left, if it is dead, is removed on the way.
 * @param stateDir where to look for how the last run ended of a VM that is down
 */
export async function statusOf(name: string, runDir: string, stateDir?: string): Promise<VmStatus> {
  let status = await look(name, runDir);
  try {
    if (status === 'abandoned') {
      await tidy(name, runDir);
      status = await look(name, runDir);
    }
    if (status === 'abandoned') return { name, condition: 'starting', sidecars: [] };
    if (status.condition === 'crashed' || status.condition === 'stopped') await tidy(name, runDir);
    const crash = status.condition === 'stopped' && stateDir !== undefined ? readCrash(stateDir) : undefined;
    return crash ? { name, condition: 'crashed', ...crash } : status;
  } catch (error) {
    // One VM that cannot be tidied up must not hide the others from a list.
    if (!(error instanceof EzvmError)) throw error;
    return { name, condition: 'damaged', reason: error.message, sidecars: [] };
  }
}

/** `abandoned`: its launcher died while it let the guest go, and only QEMU can tell whether it did. */
async function look(name: string, runDir: string): Promise<VmStatus | 'abandoned'> {
  if (!existsSync(runDir)) return { name, condition: 'stopped', sidecars: [] };
  let state: RunState | undefined;
  let plan: Plan | undefined;
  try {
    state = readState(runDir);
    plan = readBootedPlan(runDir);
  } catch (error) {
    return { name, condition: 'damaged', reason: (error as Error).message, sidecars: [] };
  }
  if (!state || !plan) return { name, condition: 'stopped', sidecars: [] };

  const common = {
    name,
    file: plan.vm.file,
    sidecars: sidecarStatuses(state, plan),
  };
  const launching = state.phase === 'starting' || state.phase === 'continuing';
  if (launching && isAlive(state.launcher)) return { ...common, condition: 'starting' };
  if (isUp(state) && state.phase === 'continuing') return 'abandoned';
  if (state.phase === 'starting' || !isUp(state)) {
    const crash = findCrash(state, plan);
    return crash ? { name, condition: 'crashed', ...crash } : { ...common, condition: 'stopped' };
  }

  const seconds = Math.round((Date.now() - Date.parse(state.startedAt)) / 1000);
  const up = {
    ...common,
    pid: state.qemu.pid,
    uptime: Math.max(0, seconds),
    sockets: { qmp: plan.vm.qmpSocket, monitor: plan.vm.monitorSocket },
    relaxed: plan.qemu.relaxed,
    guest: plan.guest,
  };
  if (state.phase === 'stopping' && state.stopper && isAlive(state.stopper)) return { ...up, condition: 'stopping' };
  if (isStopped(state.qemu))
    return { ...up, condition: 'paused', reason: `QEMU is stopped; let it go on: kill -CONT ${state.qemu.pid}` };
  return { ...up, ...(await ask(plan.vm.qmpSocket)) };
}

async function ask(socket: string): Promise<Pick<VmStatus, 'condition' | 'reason'>> {
  let qmp: QmpClient | undefined;
  try {
    const { connect } = await import('node:net');
    qmp = await connectQmp(connect(socket), { timeoutMs: PATIENCE });
    const { status } = (await qmp.execute('query-status', undefined, PATIENCE)) as { status: string };
    if (status === 'running') return { condition: 'running' };
    return { condition: 'paused', reason: status === 'io-error' ? await ioError(qmp) : (REASONS[status] ?? status) };
  } catch (error) {
    return { condition: 'running', reason: `what the guest does is not known: ${(error as Error).message}` };
  } finally {
    qmp?.close();
  }
}

const REASONS: { readonly [status: string]: string } = {
  prelaunch: 'it waits to be let go',
  paused: 'somebody paused it',
  suspended: 'the guest sleeps',
  shutdown: 'the guest has shut down',
  'guest-panicked': 'the guest has crashed',
  'internal-error': 'QEMU or KVM cannot go on with this guest',
};

interface BlockInfo {
  readonly device?: string;
  readonly qdev?: string;
  readonly 'io-status'?: string;
  readonly inserted?: { readonly file?: string };
}

async function ioError(qmp: QmpClient): Promise<string> {
  const disks = (await qmp.execute('query-block', undefined, PATIENCE)) as readonly BlockInfo[];
  const faults = disks
    .filter((disk) => disk['io-status'] !== undefined && disk['io-status'] !== 'ok')
    .map((disk) => {
      const where = disk.inserted?.file ?? disk.qdev ?? disk.device ?? 'a disk';
      return disk['io-status'] === 'nospace' ? `the host's disk is full (${where})` : `disk error (${where})`;
    });
  return faults.join(', ') || 'disk error';
}

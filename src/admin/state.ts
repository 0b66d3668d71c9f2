import { isRecord } from '../core/json.ts';
import type { Plan, Sidecar } from '../plan/plan.ts';
import { isAlive, type ProcessIdentity } from './process.ts';
import { damaged, readKept, replaceFile, runFiles } from './run-dir.ts';

/**
 * `starting`: the guest has not run an instruction. `continuing`: it was about to be let go, so it may have.
 * `running`: the start is complete. `stopping`: `stopper` has asked it to end.
 */
export type Phase = (typeof PHASES)[number];
const PHASES = ['starting', 'continuing', 'running', 'stopping'] as const;

/** What ezvm knows about a VM it has started, kept as `state.json` in the VM's run directory. */
export interface RunState {
  readonly format: 1;
  readonly name: string;
  readonly phase: Phase;
  readonly launcher: ProcessIdentity;
  readonly stopper?: ProcessIdentity;
  readonly qemu?: ProcessIdentity & { readonly argv: readonly string[]; readonly logOffset: number };
  readonly sidecars: readonly SidecarState[];
  /** Why sidecars do not run, by name: what an ezvm saw that was there when they ended, such as `exited with status 1`. */
  readonly reasons?: { readonly [sidecar: string]: string };
  /** ISO 8601. */
  readonly startedAt: string;
  /** Path of the plan that was booted. */
  readonly plan: string;
}

/** A sidecar that was started, whether or not it still runs. */
export interface SidecarState extends ProcessIdentity {
  readonly name: string;
  readonly when: Sidecar['when'];
  /** Where in its log its own output begins. */
  readonly logOffset: number;
}

/**
 * The state of the VM in a run directory; undefined when none was written.
 * @throws EzvmError exit 4 when the file is damaged
 */
export function readState(runDir: string): RunState | undefined {
  const path = runFiles(runDir).state;
  const value = readJson(path);
  if (value === undefined) return undefined;
  if (isRunState(value)) return value;
  throw damaged(path);
}

/** Replaces the state of the VM in a run directory. */
export function writeState(runDir: string, state: RunState): void {
  replaceFile(runFiles(runDir).state, `${JSON.stringify(state)}\n`);
}

/**
 * The plan that was booted; undefined when there is none.
 * @throws EzvmError exit 4 when the file is damaged
 */
export function readBootedPlan(runDir: string): Plan | undefined {
  const path = runFiles(runDir).plan;
  const value = readJson(path);
  if (value === undefined) return undefined;
  if (isRecord(value) && value['format'] === 1 && isRecord(value['vm']) && isRecord(value['qemu']))
    return value as unknown as Plan;
  throw damaged(path);
}

/** Whether the VM's QEMU lives. */
export function isUp(state: RunState | undefined): state is RunState & { qemu: NonNullable<RunState['qemu']> } {
  return state?.qemu !== undefined && isAlive(state.qemu);
}

function readJson(path: string): unknown {
  const text = readKept(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw damaged(path);
  }
}

function isRunState(value: unknown): value is RunState {
  return (
    isRecord(value) &&
    value['format'] === 1 &&
    typeof value['name'] === 'string' &&
    PHASES.some((phase) => phase === value['phase']) &&
    isIdentity(value['launcher']) &&
    (value['qemu'] === undefined || isIdentity(value['qemu'])) &&
    (value['stopper'] === undefined || isIdentity(value['stopper'])) &&
    Array.isArray(value['sidecars']) &&
    value['sidecars'].every(
      (sidecar) => isIdentity(sidecar) && typeof (sidecar as { name?: unknown }).name === 'string',
    ) &&
    typeof value['startedAt'] === 'string'
  );
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return isRecord(value) && Number.isInteger(value['pid']) && typeof value['startTime'] === 'string';
}

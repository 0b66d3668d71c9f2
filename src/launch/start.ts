import type { Journal } from '../admin/journal.ts';
import { ticksNow } from '../admin/process.ts';
import { type RunState, writeState } from '../admin/state.ts';
import type { Plan } from '../plan/plan.ts';
import type { QmpClient } from '../qemu/qmp.ts';
import { type Child, type ChildOptions, startChild } from './child.ts';
import type { Interruption } from './interruption.ts';
import { startWatched, watcherWords } from './watched.ts';

/** Is told the name of each moment of a start between two changes; tests use it to kill ezvm there. */
export type OnStep = (moment: string) => void | Promise<void>;

/** One start of a VM while it is under way. */
export interface Start {
  readonly plan: Plan;
  readonly journal: Journal;
  readonly interruption: Interruption;
  readonly environment: { readonly [variable: string]: string };
  readonly step: OnStep;
  readonly progress: (text: string) => void;
  /** This ezvm stays as the parent of what it starts. */
  readonly stays: boolean;
  readonly children: Child[];
  /** Descriptors of what steps have claimed for QEMU, by path, until it has them. */
  readonly claims: Map<string, number>;
  state: RunState;
  /** Once it has answered. */
  qemu?: { readonly child: Child; readonly qmp: QmpClient };
}

/** Records why a sidecar does not run. */
export function recordReason(start: Start, sidecar: string, reason: string): void {
  record(start, { reasons: { ...start.state.reasons, [sidecar]: reason } });
}

/** Changes the recorded state of the VM. */
export function record(start: Start, change: Partial<RunState>): void {
  start.state = { ...start.state, ...change };
  writeState(start.plan.vm.runDir, start.state);
}

/**
 * Starts a process so that it can be found again whenever ezvm is killed.
 * @param end the file that is to say how it ended, of one that needs a parent when ezvm has gone
 * @throws EzvmError exit 3 when it cannot be executed
 */
export async function startRecorded(
  start: Start,
  name: string,
  argv: readonly string[],
  options: Partial<Omit<ChildOptions, 'stateDir'>> = {},
  end?: string,
): Promise<Child> {
  await start.step(`${name}: intend`);
  start.interruption.check();
  const wrapper = [...(options.wrapper ?? []), ...(end === undefined ? [] : watcherWords())];
  start.journal.record({ change: 'spawn', name, argv, wrapper, since: ticksNow() });
  await start.step(`${name}: spawn`);
  // Our lock's descriptor is open in the child until it execs, so a recovery cannot look for it before it can be found.
  const whole = { stateDir: start.plan.vm.stateDir, environment: start.environment, ...options };
  const child = await (end === undefined ? startChild(name, argv, whole) : startWatched(name, argv, whole, end));
  start.children.push(child);
  await start.step(`${name}: note`);
  if (child.watched) start.journal.record({ change: 'spawned', name: `${name}-watch`, ...child.watched.by });
  start.journal.record({ change: 'spawned', name, ...child.identity });
  await start.step(`${name}: noted`);
  child.watched?.begin();
  return child;
}

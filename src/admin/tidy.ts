import { existsSync } from 'node:fs';
import { EzvmError } from '../core/diagnostic.ts';
import { findCrash, noteCrash } from './crash.ts';
import { readJournal } from './journal.ts';
import { type Lock, lockVm } from './lock.ts';
import { isAlive } from './process.ts';
import { withQmp } from './qmp.ts';
import { damaged, runFiles } from './run-dir.ts';
import { isUp, type RunState, readBootedPlan, readState, writeState } from './state.ts';
import { undo } from './undo.ts';

/** The state of a VM whose QEMU lives. */
export type UpState = RunState & { readonly qemu: NonNullable<RunState['qemu']> };

/**
 * Brings a VM to one of two clean states, under its lock: up, and then its state is returned; or gone without a trace.
 * A start that its launcher did not live to finish is undone, unless the guest has already run.
 */
export async function settle(runDir: string): Promise<UpState | undefined> {
  const state = readState(runDir);
  const changes = readJournal(runDir);
  if (!state && changes.some((change) => change.change === 'spawned' && change.name === 'qemu' && isAlive(change)))
    throw damaged(runFiles(runDir).state);
  if (isUp(state) && state.phase !== 'starting' && (state.phase !== 'continuing' || (await hasRun(runDir)))) {
    if (state.phase !== 'continuing') return state;
    const adopted: UpState = { ...state, phase: 'running' };
    writeState(runDir, adopted);
    return adopted;
  }
  if (state) keepCrash(state, runDir);
  const unfinished = !state || state.phase === 'starting' || state.phase === 'continuing';
  await undo(runDir, changes, unfinished ? 'failed' : 'ended');
  return undefined;
}

function keepCrash(state: RunState, runDir: string): void {
  try {
    const plan = readBootedPlan(runDir);
    const crash = plan && findCrash(state, plan);
    if (crash) noteCrash(plan.vm.stateDir, crash);
  } catch (error) {
    // A damaged plan must not keep the rest from being removed.
    if (!(error instanceof EzvmError)) throw error;
  }
}

/** Removes what a VM that is no longer up has left behind; leaves alone what another ezvm is working on. */
export async function tidy(name: string, runDir: string): Promise<void> {
  if (!existsSync(runDir)) return;
  let lock: Lock;
  try {
    lock = await lockVm(name, runDir, 'tidy');
  } catch (error) {
    if (error instanceof EzvmError && error.diagnostics[0]?.code === 'vm-busy') return;
    throw error;
  }
  try {
    await settle(runDir);
  } finally {
    lock.release();
  }
}

/** Whether the guest has been let go. Without an answer it must be assumed: ending it could lose data. */
async function hasRun(runDir: string): Promise<boolean> {
  const plan = readBootedPlan(runDir);
  if (!plan) return true;
  try {
    const answer = await withQmp(plan.vm, (client) => client.execute('query-status', undefined, 2000), 2000);
    const { status } = answer as { status?: string };
    return status !== 'prelaunch' && status !== 'inmigrate';
  } catch {
    return true;
  }
}

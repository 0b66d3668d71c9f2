import { rmdirSync, rmSync, statSync } from 'node:fs';
import { EXIT, fault } from '../core/diagnostic.ts';
import type { Change } from './journal.ts';
import { giveBack } from './lent.ts';
import { endProcess, findSpawned, type ProcessIdentity } from './process.ts';
import { removeRunDir } from './run-dir.ts';

/** Why changes are undone: the start did not succeed, or the VM has had its life. */
export type UndoReason = 'failed' | 'ended';

/**
 * Undoes a start's changes in reverse order and removes the run directory. Doing it again does no harm.
 * @throws EzvmError exit 4 when a process cannot be ended, or a device not be given back; the run directory then stays for another try
 */
export async function undo(runDir: string, changes: readonly Change[], reason: UndoReason): Promise<void> {
  const spawned = new Map<string, ProcessIdentity>();
  for (const change of changes) if (change.change === 'spawned') spawned.set(change.name, change);
  const intents = changes.filter((change) => change.change === 'spawn');
  const unnoted = findSpawned(intents.map((intent) => ({ ...intent, session: spawned.get(intent.name)?.pid })));
  const stuck: number[] = [];
  const end = async (process: ProcessIdentity): Promise<void> => {
    if (!(await endProcess(process))) stuck.push(process.pid);
  };

  for (const change of changes.toReversed()) {
    if (change.change === 'spawned') await end(change);
    else if (change.change === 'temporary') rmSync(change.path, { force: true });
    else if (change.change === 'file' && reason === 'failed') removeUntouched(change.path, change.id);
    else if (change.change === 'mkdir' && (reason === 'failed' || !change.keep)) removeIfEmpty(change.path);
  }
  for (const process of unnoted) await end(process);
  // Last: as long as QEMU lives, noted or not, it has them.
  if (stuck.length === 0) for (const change of changes) if (change.change === 'lent') await giveBack(change);

  if (stuck.length > 0)
    throw fault(EXIT.state, 'process-stuck', `process ${stuck.join(', ')} does not end, not even by SIGKILL`, {
      help: 'it waits in the kernel for a device; ezvm tidies up at the next start or stop',
    });
  removeRunDir(runDir);
}

/** What tells a file that nobody has written to from any other; undefined where there is none. */
export function untouchedId(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev} ${stat.ino} ${stat.mtimeNs}`;
}

function removeUntouched(path: string, id: string): void {
  if (untouchedId(path) === id) rmSync(path);
}

/** Removes a directory, unless something is in it or it is gone already. */
export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

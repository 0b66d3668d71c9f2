import { closeSync, constants, openSync, writeSync } from 'node:fs';
import type { SpawnIntent } from './process.ts';
import { damaged, naming, readKept, runFiles } from './run-dir.ts';

/** One change to the host that has to be undone; it is written down before it is made. */
export type Change =
  /** A directory that did not exist. `keep`: it goes only if the start fails and nothing is in it. */
  | { readonly change: 'mkdir'; readonly path: string; readonly keep: boolean }
  /** A file that is renamed when it is complete, or a socket: what is still there of it goes. */
  | { readonly change: 'temporary'; readonly path: string }
  /** A file that goes if the start fails, unless it is another one by then, or somebody has written to it. */
  | { readonly change: 'file'; readonly path: string; readonly id: string }
  /**
   * A process is about to be started. Its number can be known only after it runs, so a launcher that is killed in between
   * leaves a process nobody has noted: it is found again by its command line, its session and the time.
   */
  | ({ readonly change: 'spawn'; readonly name: string } & SpawnIntent)
  /** The setuid helper lends devices to this VM, and wants them back when its QEMU has ended. */
  | { readonly change: 'lent'; readonly program: string; readonly vm: string }
  /** The process that the `spawn` before it led to. */
  | { readonly change: 'spawned'; readonly name: string; readonly pid: number; readonly startTime: string };

/** The changes made on behalf of a VM since it was started, in order. */
export interface Journal {
  readonly changes: readonly Change[];
  /** Writes a change down; only then may it be made. */
  record(change: Change): void;
  close(): void;
}

/** Begins the journal of a run directory that was just made. */
export function openJournal(runDir: string): Journal {
  return journalIn(runDir, constants.O_CREAT | constants.O_EXCL, []);
}

/** Goes on with the journal of a VM that runs; its lock must be held. */
export function reopenJournal(runDir: string): Journal {
  return journalIn(runDir, 0, readJournal(runDir));
}

function journalIn(runDir: string, flags: number, changes: Change[]): Journal {
  const path = runFiles(runDir).journal;
  const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | flags, 0o600);
  return {
    changes,
    record(change) {
      // One write per line: a killed writer leaves the line whole or not at all, and without it the change was not made.
      naming(path, () => writeSync(fd, `${JSON.stringify(change)}\n`));
      changes.push(change);
    },
    close() {
      closeSync(fd);
    },
  };
}

/** The changes an earlier start wrote down; empty when there is no journal. */
export function readJournal(runDir: string): Change[] {
  const text = readKept(runFiles(runDir).journal);
  if (text === undefined) return [];
  // What follows the last newline is a line that a full disk cut off, so its change was never made.
  const lines = text.split('\n').slice(0, -1);
  try {
    return lines.map((line) => JSON.parse(line) as Change);
  } catch {
    throw damaged(runFiles(runDir).journal);
  }
}

import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { readKept } from './run-dir.ts';

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** `exited with status 1` or `was killed by SIGSEGV`. */
export function describeExit(exit: Exit): string {
  return exit.signal ? `was killed by ${exit.signal}` : `exited with status ${exit.code}`;
}

/** What a shell's `$?` means: 128 and a signal's number is a violent end, for programs that say it in this way too. */
export function exitOfShell(status: number): Exit {
  const signal = Object.entries(constants.signals).find(([, number]) => status === 128 + number)?.[0];
  return signal === undefined ? { code: status, signal: null } : { code: null, signal: signal as NodeJS.Signals };
}

/** The file in a run directory in which a sidecar's watcher writes how it ended. */
export function endPath(runDir: string, sidecar: string): string {
  return join(runDir, `${sidecar}.end`);
}

/** How a sidecar ended, and when, by its watcher; undefined where none has written anything of that process. */
export function readEnd(
  runDir: string,
  sidecar: { readonly name: string; readonly pid: number },
): { readonly exit: Exit; readonly at: Date } | undefined {
  const path = endPath(runDir, sidecar.name);
  try {
    const [, pid, status] = /^(\d+) (\d+)\n$/.exec(readKept(path) ?? '') ?? [];
    return Number(pid) === sidecar.pid ? { exit: exitOfShell(Number(status)), at: statSync(path).mtime } : undefined;
  } catch {
    return undefined;
  }
}

import { join } from 'node:path';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { isRecord } from '../core/json.ts';
import { isAlive, type ProcessIdentity } from './process.ts';
import { readKept, replaceFile } from './run-dir.ts';

/** A VM that runs on this state, wherever its sockets are. */
export interface RunningNote {
  readonly runDir: string;
  readonly qemu: ProcessIdentity;
}

/**
 * Notes beside a VM's state who runs on it. The run directory cannot tell: another login may have another one, and it
 * may vanish while the VM runs. A note that outlives its QEMU says nothing, so it need not be taken back.
 */
export function noteRunning(stateDir: string, note: RunningNote): void {
  try {
    replaceFile(notePath(stateDir), `${JSON.stringify(note)}\n`);
  } catch {
    // The VM runs already; without the note one check of a later start is missing.
  }
}

/** The VM that is running on this state, if its QEMU lives. */
export function findRunning(stateDir: string): RunningNote | undefined {
  try {
    const note: unknown = JSON.parse(readKept(notePath(stateDir)) ?? '');
    if (!isRecord(note) || typeof note['runDir'] !== 'string' || !isRecord(note['qemu'])) return undefined;
    const { pid, startTime } = note['qemu'];
    if (typeof pid !== 'number' || typeof startTime !== 'string' || !isAlive({ pid, startTime })) return undefined;
    return { runDir: note['runDir'], qemu: { pid, startTime } };
  } catch {
    return undefined;
  }
}

/** The error for a VM that nobody can speak to, because its run directory is gone: a logout takes that away. */
export function cutOff(name: string, { runDir, qemu }: RunningNote): EzvmError {
  return fault(EXIT.state, 'vm-cut-off', `VM ${name} runs (pid ${qemu.pid}), but its sockets in ${runDir} are gone`, {
    help: `all that can be done is to end it: kill ${qemu.pid}`,
  });
}

function notePath(stateDir: string): string {
  return join(stateDir, 'running.json');
}

import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, fault } from '../core/diagnostic.ts';
import { findUtility } from '../host/programs.ts';
import { naming, readKept } from './run-dir.ts';

/** What a lock is held for; another ezvm's message says it. */
export type LockPurpose = 'start' | 'stop' | 'tidy' | 'sidecar';

/** The exclusive right to change what is in a VM's run directory. */
export interface Lock {
  /** Gives the lock up and removes its file. */
  release(): void;
}

const TIDY_PATIENCE = 2000;
const DOING: { readonly [purpose: string]: string } = {
  start: 'started',
  stop: 'stopped',
  tidy: 'tidied up',
  sidecar: 'given a sidecar',
};

/** The lock file of a VM: beside its run directory, under a name that no VM can have. */
export function lockPath(runDir: string): string {
  return join(dirname(runDir), `.${basename(runDir)}.lock`);
}

/**
 * Takes the lock of a VM. It belongs to our open file, so it ends with this process however that dies.
 * QEMU itself would silently steal a live monitor socket of the same name: only this lock prevents it.
 * @throws EzvmError exit 4 when another ezvm holds it
 */
export async function lockVm(name: string, runDir: string, purpose: LockPurpose): Promise<Lock> {
  const path = lockPath(runDir);
  const deadline = performance.now() + TIDY_PATIENCE;
  for (;;) {
    const lock = tryLock(path, purpose);
    if (lock === 'stale') continue;
    if (lock !== 'held') return lock;
    const [doing = '', pid = ''] = readHolder(path).split(' ');
    // These take milliseconds; an empty file is a holder that has not signed yet.
    if (['tidy', 'sidecar', ''].includes(doing) && performance.now() < deadline) {
      await sleep(5);
      continue;
    }
    throw fault(
      EXIT.state,
      'vm-busy',
      `VM ${name} is being ${DOING[doing] ?? 'started or stopped'} by another ezvm${pid && `, pid ${pid}`}`,
      { help: `wait until it has finished, then see: ezvm status ${name}` },
    );
  }
}

function tryLock(path: string, purpose: LockPurpose): Lock | 'held' | 'stale' {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  let outcome: 'taken' | 'held' | 'stale' | undefined;
  try {
    outcome = takeLock(path, fd);
  } finally {
    if (outcome !== 'taken') closeSync(fd);
  }
  if (outcome !== 'taken') return outcome;

  const release = (): void => {
    rmSync(path, { force: true });
    closeSync(fd);
  };
  try {
    ftruncateSync(fd);
    naming(path, () => writeSync(fd, `${purpose} ${process.pid}`));
  } catch (error) {
    // On a full disk a VM must still be stopped and tidied up. Whoever finds no name there waits, and says less.
    if (purpose === 'start') {
      release();
      throw error;
    }
  }
  return { release };
}

function takeLock(path: string, fd: number): 'taken' | 'held' | 'stale' {
  if (!tryFlock(fd, path)) return 'held';
  // Whoever held it before us may have removed the file between our open and our lock.
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino ? 'taken' : 'stale';
}

/**
 * Locks an open file for whoever has it open by this descriptor, or by one that it was handed down as.
 * @returns false when another has locked it
 * @throws EzvmError exit 3 when the file system knows no locks
 */
export function tryFlock(fd: number, path: string): boolean {
  // Node has no flock(2). A lock taken through an inherited descriptor stays with the open file when flock(1) exits.
  const { status, stderr, error } = spawnSync(findUtility('flock'), ['-n', '-x', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    env: {},
    encoding: 'utf8',
  });
  if (status === 0 || status === 1) return status === 0;
  throw fault(EXIT.host, 'lock-failed', `cannot lock ${path}: ${error?.message ?? stderr.trim()}`);
}

function readHolder(path: string): string {
  try {
    return readKept(path)?.trim() ?? '';
  } catch {
    return '';
  }
}

import { closeSync, constants, mkdirSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeExit } from '../admin/exit.ts';
import { tryFlock } from '../admin/lock.ts';
import { endProcess } from '../admin/process.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import type { RunOnce } from '../plan/plan.ts';
import { lastWords } from './child.ts';
import { poll } from './poll.ts';
import { type Start, startRecorded } from './start.ts';

/** How long, in milliseconds, such a program may take, or another start that runs it for the same thing. */
const PATIENCE = 30_000;

/**
 * Runs a program that makes something once, also where several VMs that want the same thing start at once.
 * @throws EzvmError exit 3 with what it said last
 */
export async function runOnce(start: Start, step: RunOnce): Promise<void> {
  const { folder, makes, help, origin } = step;
  if (isMade(makes.to)) return;
  if (folder !== undefined) mkdirSync(dirname(makes.to), { recursive: true, mode: 0o700 });
  const turn = openSync(dirname(makes.to), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    // Whoever made it may go on to claim that very directory, for as long as its VM runs.
    const isWhole = (): boolean => makes.from !== makes.to && isMade(makes.to);
    const look = (): boolean => isWhole() || tryFlock(turn, makes.to);
    const has = await poll(look, PATIENCE, start.interruption.race(new Promise(() => {})));
    start.interruption.check();
    if (!has)
      throw fault(EXIT.host, 'program-failed', `another start has been making ${makes.to} for too long`, {
        help,
        origin,
      });
    if (!isMade(makes.to)) await make(start, step);
  } finally {
    closeSync(turn);
  }
}

async function make(start: Start, step: RunOnce): Promise<void> {
  const { name, argv, environment, folder, makes, help, origin } = step;
  // Half of what an earlier run made.
  if (makes.from !== makes.to) rmSync(makes.from, { force: true });
  if (folder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
  start.progress(`running ${name}`);
  const child = await startRecorded(start, name, argv, { environment: { ...start.environment, ...environment } });
  try {
    const exit = await start.interruption.race(Promise.race([child.ended, sleep(PATIENCE, undefined, { ref: false })]));
    if (!exit)
      throw fault(EXIT.host, 'program-failed', `${name} did not end within ${PATIENCE / 1000} s${lastWords(child)}`, {
        help,
        origin,
      });
    if (exit.code !== 0 || !isMade(makes.from)) {
      const end = exit.code === 0 ? `did not make ${makes.from}` : describeExit(exit);
      throw fault(EXIT.host, 'program-failed', `${name} ${end}${lastWords(child)}`, { help, origin });
    }
    if (makes.from !== makes.to) renameSync(makes.from, makes.to);
  } finally {
    await endProcess(child.identity);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
  await start.step(`${name}: done`);
}

/** An empty file is as good as none, and so is a block device that begins with zeros. */
function isMade(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && (stat.isBlockDevice() ? readHead(path).some((byte) => byte !== 0) : stat.size > 0);
}

/** The first bytes of a file or device; few or none where it is small. */
export function readHead(path: string): Buffer {
  const head = Buffer.alloc(512);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that cannot be mistaken for a later one with the same number, not even after a reboot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: two processes are the same if pid and this text are. On Linux `<boot id>:<clock ticks since boot>`. */
  readonly startTime: string;
}

interface ProcStat {
  readonly state: string;
  readonly session: number;
  readonly threads: number;
  readonly ticks: number;
  /** Of processor time, the kernel's on its behalf included. */
  readonly worked: number;
}

const HAS_PROC = existsSync('/proc/self/stat');
/** Milliseconds until a signal that was refused is sent again. */
const AGAIN = 20;
let bootId: string | undefined;

/** The identity of the process that has this number now, dead but unreaped ones included; undefined if there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!HAS_PROC) return identifyByPs(pid);
  const stat = readStat(pid);
  return stat && { pid, startTime: startTime(stat.ticks) };
}

/** Whether that very process still runs, or still holds its files, ports and locks; a mere zombie does not. */
export function isAlive(process: ProcessIdentity): boolean {
  if (!HAS_PROC) return identifyByPs(process.pid)?.startTime === process.startTime;
  const stat = readStat(process.pid);
  return stat !== undefined && !isDead(stat) && startTime(stat.ticks) === process.startTime;
}

/** What a process is doing: its state as /proc names it (`T` is stopped), and the processor time it has had; undefined where that is not known. */
export function activityOf(process: ProcessIdentity): { state: string; ticks: number } | undefined {
  const stat = HAS_PROC && isAlive(process) ? readStat(process.pid) : undefined;
  return stat && { state: stat.state, ticks: stat.worked };
}

/** Whether a process lives and does nothing until somebody sends it SIGCONT. */
export function isStopped(process: ProcessIdentity): boolean {
  return activityOf(process)?.state === 'T';
}

/** The clock that start times are measured with, now: no process started later has a lower one. */
export function ticksNow(): number {
  if (!HAS_PROC) return 0;
  // Hundredths of a second, as USER_HZ is on every Linux. One tick off, because both numbers are rounded.
  return Math.floor(Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * 100) - 1;
}

/** What tells a process started by a launcher that died before it could write the number down. */
export interface SpawnIntent {
  readonly argv: readonly string[];
  /** Words before it: programs that then become the one wanted, or start it. */
  readonly wrapper?: readonly string[];
  /** `ticksNow()` before the spawn. */
  readonly since: number;
  /** The session the process made, where it is known. */
  readonly session?: number | undefined;
}

/**
 * Living processes of this user that an intent to spawn led to: same command line to the byte, started afterwards, in a
 * session of its own as ezvm's children are. A command typed by hand belongs to its terminal's session.
 */
export function findSpawned(intents: readonly SpawnIntent[]): ProcessIdentity[] {
  if (!HAS_PROC || intents.length === 0) return [];
  const wanted = intents.flatMap(({ argv, wrapper = [], since, session }) =>
    // A wrapper may itself become another one first.
    [...wrapper, ''].map((_, begun) => ({
      since,
      session,
      isWrapped: begun < wrapper.length,
      cmdline: `${[...wrapper.slice(begun), ...argv].join('\0')}\0`,
    })),
  );
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const cmdline = readProc(pid, 'cmdline');
    const matching = wanted.filter((intent) => intent.cmdline === cmdline);
    if (matching.length === 0 || !(isOwn(pid) || matching.some(({ isWrapped }) => isWrapped && isRoots(pid)))) continue;
    const stat = readStat(pid);
    if (!stat || isDead(stat)) continue;
    const match = matching.some(
      ({ since, session }) => stat.ticks >= since && (stat.session === pid || stat.session === session),
    );
    if (match) found.push({ pid, startTime: startTime(stat.ticks) });
  }
  return found;
}

/**
 * Ends a process that leads its own session, and its group: SIGTERM, after `grace` milliseconds SIGKILL.
 * @returns whether it is gone; a process stuck in the kernel is given `patience` milliseconds after SIGKILL
 */
export async function endProcess(target: ProcessIdentity, grace = 3000, patience = 60_000): Promise<boolean> {
  if (!isAlive(target)) return true;
  if (!(await askToEnd(target, grace))) {
    if (isAlive(target) && !signal(-target.pid, 'SIGKILL')) signal(target.pid, 'SIGKILL');
    if (!(await awaitEnd(target, patience))) return false;
  }
  // What the leader left in its group: the kernel gives a number to nobody else while a group is called by it.
  signal(-target.pid, 'SIGKILL');
  return true;
}

/** SIGTERM, as soon as it can be sent: the setuid helper is out of our reach until it has become QEMU. */
async function askToEnd(target: ProcessIdentity, grace: number): Promise<boolean> {
  for (let rest = grace; rest > 0; rest -= AGAIN) {
    if (signal(-target.pid, 'SIGTERM') || signal(target.pid, 'SIGTERM')) return awaitEnd(target, rest);
    if (await awaitEnd(target, AGAIN)) return true;
  }
  return false;
}

/** Waits until a process that is no child of ours is gone; false when that took longer than `timeout` milliseconds. */
export async function awaitEnd(target: ProcessIdentity, timeout: number): Promise<boolean> {
  // Node has no pidfd, so the end of a stranger can only be seen by looking.
  const deadline = performance.now() + timeout;
  for (let pause = 2; isAlive(target); pause = Math.min(pause * 2, 50)) {
    if (performance.now() >= deadline) return false;
    await sleep(pause);
  }
  return true;
}

function signal(target: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(target, name);
    return true;
  } catch {
    return false;
  }
}

function startTime(ticks: number): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return `${bootId}:${ticks}`;
}

function readStat(pid: number): ProcStat | undefined {
  const text = readProc(pid, 'stat');
  if (!text) return undefined;
  // The second field is the program's name in brackets, which may itself hold blanks and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0] ?? 'X',
    session: Number(fields[3]),
    threads: Number(fields[17]),
    ticks: Number(fields[19]),
    worked: Number(fields[11]) + Number(fields[12]),
  };
}

function isDead(stat: ProcStat): boolean {
  // The first thread is a zombie as soon as it has ended; the others keep everything open until they have, too.
  return 'ZX'.includes(stat.state) && stat.threads <= 1;
}

function isOwn(pid: number): boolean {
  return userOf(pid) === process.getuid?.();
}

/** A setuid helper of ours is root's, until it becomes us. */
function isRoots(pid: number): boolean {
  return userOf(pid) === 0;
}

function userOf(pid: number): number | undefined {
  // Not the owner of /proc/PID, which is root for a process that forbids core dumps.
  const uid = /^Uid:\t(\d+)/m.exec(readProc(pid, 'status') ?? '')?.[1];
  return uid === undefined ? undefined : Number(uid);
}

function readProc(pid: number, file: 'stat' | 'status' | 'cmdline'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

function identifyByPs(pid: number): ProcessIdentity | undefined {
  const { stdout } = spawnSync('/bin/ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  });
  const [, state, start] = /^\s*(\S+)\s+(.*\S)\s*$/.exec(stdout ?? '') ?? [];
  return state && start && !state.startsWith('Z') ? { pid, startTime: start } : undefined;
}

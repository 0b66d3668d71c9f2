import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { listRunDirs } from '../admin/run-dir.ts';
import { readState } from '../admin/state.ts';

/** Bytes of an image that QEMU locks: 100 and on for what it does with it, 200 and on for what no other may do (block/file-posix.c). */
const WRITES = 101;
const LETS_NOBODY_WRITE = 201;

/** Who uses an image so that it cannot be used here as well, as far as can be seen; undefined where nobody does. */
export function findImageUser(image: Stats, access: 'read' | 'write'): string | undefined {
  const refused = access === 'write' ? [WRITES, LETS_NOBODY_WRITE] : [WRITES];
  const locks = locksOn(image);
  if (!locks.some(([from, to]) => refused.some((byte) => from <= byte && byte <= to))) return undefined;
  const pid = findOpener(image);
  return pid === undefined ? "another user's program" : describeProcess(pid);
}

/** Who has a file open. */
export interface Holder {
  /** Where it is a program beside a VM's QEMU. */
  readonly vm?: string;
  readonly text: string;
}

/**
 * Who has a file open; undefined where nobody can be seen to.
 * @param runRoot where the runs of this user's VMs are found, so that a program beside QEMU is known for whose it is
 */
export function findHolder(file: Stats, runRoot?: string): Holder | undefined {
  const pid = findOpener(file);
  if (pid === undefined) return undefined;
  for (const vm of runRoot === undefined ? [] : listRunDirs(runRoot)) {
    const beside = readState(join(runRoot ?? '', vm))?.sidecars.find((one) => one.pid === Number(pid));
    if (beside) return { vm, text: `VM ${vm} (${beside.name}, pid ${pid})` };
  }
  return { text: describeProcess(pid) };
}

function findOpener(file: Stats): string | undefined {
  return readdirSync('/proc').find(
    (entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid && hasOpen(entry, file),
  );
}

/** Ranges of bytes that are locked in a file. Some file systems number their devices otherwise here; then none is found. */
function locksOn({ dev, ino }: Stats): (readonly [from: number, to: number])[] {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const hex = (number: number): string => number.toString(16).padStart(2, '0');
  const wanted = `${hex(major)}:${hex(minor)}:${ino}`;
  return read('/proc/locks')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.includes(wanted))
    .map((words) => [Number(words.at(-2)), words.at(-1) === 'EOF' ? Number.POSITIVE_INFINITY : Number(words.at(-1))]);
}

function hasOpen(pid: string, image: Stats): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const stat = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false });
      return stat?.ino === image.ino && stat.dev === image.dev;
    });
  } catch {
    return false;
  }
}

function describeProcess(pid: string): string {
  const words = read(`/proc/${pid}/cmdline`).split('\0');
  const guest = words.flatMap((word) => /^guest=([^,]+)/.exec(word)?.[1] ?? [])[0];
  return guest === undefined ? `${programOf(pid)} (pid ${pid})` : `VM ${guest} (pid ${pid})`;
}

function programOf(pid: string): string {
  return read(`/proc/${pid}/cmdline`).split('\0')[0]?.split('/').at(-1) || 'a program';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

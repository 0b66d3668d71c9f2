import { closeSync, constants, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';

/** Where in a log file the output of one run begins. */
export interface LogMark {
  readonly path: string;
  readonly offset: number;
  /** What is in lines that are no news. */
  readonly chatter?: readonly string[];
}

const ROTATE_AT = 1024 * 1024;
const TAIL = 8192;

/** The log of one of a VM's processes; QEMU's is called `qemu`. */
export function logPath(stateDir: string, name: string): string {
  return join(stateDir, `${name}.log`);
}

/**
 * Opens a log for appending, putting a long one aside first. The caller closes `fd`.
 * @throws EzvmError exit 3 when something else is in its place
 */
export function openLog(stateDir: string, name: string): LogMark & { readonly fd: number } {
  const path = logPath(stateDir, name);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > ROTATE_AT) renameSync(path, `${path}.old`);
  // What a guest that owned its QEMU has left in its place is neither followed nor waited for.
  const kept = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | kept, 0o600);
  const stat = fstatSync(fd);
  if (stat.isFile()) return { path, offset: stat.size, fd };
  closeSync(fd);
  throw fault(EXIT.host, 'log-refused', `${path} is no ordinary file, so nothing is written there`, {
    help: 'remove it',
  });
}

/**
 * The last lines that say something, of what was written since `mark`: no blank lines, no warnings unless there is nothing
 * else, and nothing that could steer a terminal. Empty when the log cannot be read.
 */
export function lastLines(mark: LogMark, count = 5): string[] {
  const lines = readTail(mark)
    .split(/[\r\n]+/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escapes are what must go
    .map((line) => line.replace(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '').trimEnd())
    .filter((line) => line !== '' && !mark.chatter?.some((words) => line.includes(words)));
  const telling = lines.filter((line) => !/^\S+: warning: /i.test(line));
  return (telling.length > 0 ? telling : lines).slice(-count);
}

/** When something was last written since `mark`, as ISO 8601; undefined where nothing was. */
export function lastWritten(mark: LogMark): string | undefined {
  const stat = statSync(mark.path, { throwIfNoEntry: false });
  return stat && stat.size > mark.offset ? stat.mtime.toISOString() : undefined;
}

function readTail(mark: LogMark): string {
  let fd: number | undefined;
  try {
    fd = openSync(mark.path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = fstatSync(fd);
    const from = Math.max(mark.offset, size - TAIL);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const length = readSync(fd, buffer, 0, buffer.length, from);
    const text = buffer.toString('utf8', 0, length);
    // Half a line is misleading when the beginning was cut off.
    return from > mark.offset ? text.slice(text.indexOf('\n') + 1) : text;
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

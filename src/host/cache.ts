import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isRecord } from '../core/json.ts';

/** Goes up whenever what is kept changes its shape or meaning. */
const FORMAT = 2;

/**
 * What was kept in `file` under `key`.
 * @returns undefined for a file that is missing, damaged, older than what it describes, or another user's to write
 */
export function readCache(file: string, key: string): unknown {
  let open: number | undefined;
  try {
    open = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const found = fstatSync(open);
    if (!found.isFile() || found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0) return undefined;
    const kept: unknown = JSON.parse(readFileSync(open, 'utf8'));
    return isRecord(kept) && kept['format'] === FORMAT && kept['key'] === key ? kept['value'] : undefined;
  } catch {
    return undefined;
  } finally {
    if (open !== undefined) closeSync(open);
  }
}

/** Keeps `value` in `file` under `key`. A cache that cannot be written costs time, not correctness: that is no error. */
export function writeCache(dir: string, file: string, key: string, value: unknown): void {
  const partial = `${file}.${process.pid}`;
  try {
    makeDir(dir);
    // Root leaves no files in a directory that another user can rearrange.
    if (statSync(dir).uid !== process.geteuid?.()) return;
    writeFileSync(partial, JSON.stringify({ format: FORMAT, key, value }), { mode: 0o600, flag: 'wx' });
    renameSync(partial, file);
  } catch {
    dropPartial(partial);
  }
}

/** Not mkdir's own recursion, which never comes back from a place such as /proc. */
function makeDir(dir: string): void {
  if (existsSync(dir)) return;
  makeDir(dirname(dir));
  mkdirSync(dir, { mode: 0o700 });
}

function dropPartial(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // Where nothing can be removed, nothing was written either.
  }
}

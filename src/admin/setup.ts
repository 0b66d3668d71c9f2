import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import { isRecord } from '../core/json.ts';

/** A file to install; its path is as it will be once `root` is the root. */
export interface Installed {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** What was changed on the host, so that it can be put back. Kept in `RECORD` below the root. */
export interface SetupRecord {
  readonly format: 1;
  readonly files: readonly RecordedFile[];
  /** Directories that were made, outermost first. */
  readonly dirs: readonly string[];
  /** Command lines that take back what commands have done, last done first. */
  readonly undo: readonly (readonly string[])[];
}

interface Before {
  readonly base64: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

interface RecordedFile {
  readonly path: string;
  /** What was there before; null where nothing was. */
  readonly before: Before | null;
  /** What was installed: whatever differs from it was changed by somebody else. */
  readonly text: string;
}

const RECORD = '/var/lib/ezvm/setup.json';
const NOTHING: SetupRecord = { format: 1, files: [], dirs: [], undo: [] };

/** What an earlier setup has changed; nothing where there was none. */
export function readSetup(root: string): SetupRecord {
  const path = join(root, RECORD);
  if (!existsSync(path)) return NOTHING;
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isRecord(value) && value['format'] === 1) return value as unknown as SetupRecord;
  } catch {
    // Told below.
  }
  throw fault(EXIT.state, 'setup-damaged', `${path} is damaged, so what the setup has changed is not known`, {
    help: 'look for the files named ezvm below /etc, and remove that file when you are done',
  });
}

/**
 * Makes the files of the host those of `wanted`: what an earlier setup made and is wanted no more is put back. The record
 * is written before each change, so that a setup that is cut short can be undone as well.
 */
export function installSetup(root: string, wanted: readonly Installed[]): void {
  const earlier = readSetup(root);
  const unwanted = earlier.files.filter(({ path }) => !wanted.some((file) => file.path === path));
  const kept = earlier.files.filter((file) => !unwanted.includes(file));
  for (const file of unwanted) putBack(root, file);
  let record: SetupRecord = { ...earlier, files: kept };
  const write = (change: Partial<SetupRecord>): void => {
    record = { ...record, ...change };
    writeWhole(join(root, RECORD), `${JSON.stringify(record, undefined, 1)}\n`, 0o600);
  };
  // The record's own directory must be there before the record can be.
  const own = missingDirs(root, [RECORD]);
  const others = missingDirs(
    root,
    wanted.map(({ path }) => path),
  ).filter((dir) => !own.includes(dir));
  for (const dir of own) mkdirSync(join(root, dir), { mode: 0o755 });
  write({ dirs: [...record.dirs, ...own, ...others] });
  for (const dir of others) mkdirSync(join(root, dir), { mode: 0o755 });
  for (const { path, text, mode } of wanted) {
    const known = record.files.find((file) => file.path === path);
    const before = known ? known.before : readBefore(join(root, path));
    write({ files: [...record.files.filter((file) => file !== known), { path, before, text }] });
    writeWhole(join(root, path), text, mode);
  }
}

/** Adds what takes back a command, before that is run. */
export function recordCommand(root: string, undo: readonly string[]): void {
  const record = readSetup(root);
  const text = JSON.stringify({ ...record, undo: [undo, ...record.undo] }, undefined, 1);
  writeWhole(join(root, RECORD), `${text}\n`, 0o600);
}

/**
 * Puts every file back as it was, and removes the record.
 * @returns paths that somebody has changed since and that are left alone
 */
export function undoSetup(root: string): string[] {
  const record = readSetup(root);
  const changed = record.files.filter((file) => !putBack(root, file)).map(({ path }) => path);
  rmSync(join(root, RECORD), { force: true });
  for (const dir of record.dirs.toReversed()) removeIfEmpty(join(root, dir));
  return changed;
}

/** The text of a file below the root; undefined where there is none. */
export function readInstalled(root: string, path: string): string | undefined {
  const before = readBefore(join(root, path));
  return before === null ? undefined : Buffer.from(before.base64, 'base64').toString('utf8');
}

/** False for a file that is neither as we made it nor gone. */
function putBack(root: string, { path, before, text }: RecordedFile): boolean {
  const full = join(root, path);
  const now = readInstalled(root, path);
  const was = before === null ? undefined : Buffer.from(before.base64, 'base64');
  if (now !== undefined && now !== text && now !== was?.toString('utf8')) return false;
  if (was === undefined || before === null) rmSync(full, { force: true });
  else {
    writeWhole(full, was, before.mode);
    chownSync(full, before.uid, before.gid);
  }
  return true;
}

function readBefore(path: string): Before | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return null;
  if (!stat.isFile())
    throw fault(EXIT.host, 'path-wrong-kind', `${path} is no ordinary file, so it is not replaced`, {
      help: 'move it away, or put what `ezvm setup group` prints there yourself',
    });
  const { uid, gid, mode } = stat;
  return { base64: readFileSync(path).toString('base64'), mode: mode & 0o7777, uid, gid };
}

/** Readers see the old file or the new, and a host that loses power keeps one of the two. */
function writeWhole(path: string, text: string | Uint8Array, mode: number): void {
  const temporary = `${path}.ezvm-new`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', mode);
  try {
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

/** Directories that the paths need and that are not there, outermost first. */
function missingDirs(root: string, paths: readonly string[]): string[] {
  const missing = new Set<string>();
  for (const path of paths) {
    const chain: string[] = [];
    for (let dir = dirname(path); dir !== '/' && !existsSync(join(root, dir)); dir = dirname(dir)) chain.unshift(dir);
    for (const dir of chain) missing.add(dir);
  }
  return [...missing];
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw error;
  }
}

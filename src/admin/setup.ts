import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import { isRecord } from '../core/json.ts';
import { removeIfEmpty } from './undo.ts';
import { writeWhole } from './whole-file.ts';

/** A file to install; its path is as it will be once `root` is the root. */
export interface Installed {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
  /** Whose it is; of whoever installs it, where absent. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Left alone where somebody else has written it. */
  readonly keepsEdits?: boolean;
}

/** The setups that there are, each of which installs and takes back files of its own. */
export type SetupPart = 'group' | 'helper';

/** What was changed on the host, so that it can be put back. Kept in `RECORD` below the root. */
export interface SetupRecord {
  readonly format: 2;
  readonly files: readonly RecordedFile[];
  /** Directories that were made, outermost first. */
  readonly dirs: readonly string[];
  /** Command lines that take back what commands have done, last done first. */
  readonly undo: readonly (readonly string[])[];
}

/** What a file was. */
export interface Contents {
  readonly base64: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a setup has installed. */
export interface RecordedFile {
  readonly part: SetupPart;
  readonly path: string;
  /** What was there before; null where nothing was. */
  readonly before: Contents | null;
  /** What was installed, in base64: whatever differs from it was changed by somebody else. */
  readonly after: string;
}

const RECORD = '/var/lib/ezvm/setup.json';
const NOTHING: SetupRecord = { format: 2, files: [], dirs: [], undo: [] };

/** What earlier setups have changed; nothing where there was none. */
export function readSetup(root: string): SetupRecord {
  const path = placeIn(root, RECORD);
  if (!existsSync(path)) return NOTHING;
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isRecord(value) && value['format'] === NOTHING.format) {
      const record = value as unknown as SetupRecord;
      // Somebody else's system, as in an image, may say anything: nothing outside of the root is written for it.
      if ([...record.files.map((file) => file.path), ...record.dirs].every(staysBelow)) return record;
    }
  } catch {
    // Told below.
  }
  throw fault(EXIT.state, 'setup-damaged', `${path} is damaged, so what the setup has changed is not known`, {
    help: 'look for the files named ezvm below /etc, and remove that file when you are done',
  });
}

/** What an earlier setup of this kind made and is wanted no more. */
export function findUnwanted(
  { files }: SetupRecord,
  part: SetupPart,
  wanted: readonly { readonly path: string }[],
): RecordedFile[] {
  return files.filter((file) => file.part === part && !wanted.some(({ path }) => path === file.path));
}

function staysBelow(path: unknown): boolean {
  return typeof path === 'string' && path.startsWith('/') && path !== '/' && normalize(path) === path;
}

/**
 * Makes the files of one setup those of `wanted`: what it made earlier and is wanted no more is put back. The record is
 * written before each change, so that a setup that is cut short can be undone as well.
 */
export function installSetup(root: string, part: SetupPart, wanted: readonly Installed[]): void {
  const earlier = openRecord(root);
  const unwanted = findUnwanted(earlier, part, wanted);
  for (const file of unwanted) putBack(root, file);
  let record: SetupRecord = { ...earlier, files: earlier.files.filter((file) => !unwanted.includes(file)) };
  const write = (change: Partial<SetupRecord>): void => {
    record = { ...record, ...change };
    writeRecord(root, record);
  };
  const paths = wanted.map(({ path }) => path);
  const dirs = missingDirs(root, paths);
  write({ dirs: [...record.dirs, ...dirs] });
  for (const dir of dirs) mkdirSync(placeIn(root, dir), { mode: 0o755 });
  for (const { path, bytes, mode, owner, keepsEdits } of wanted) {
    if (keepsEdits && isEdited(root, path)) continue;
    const known = record.files.find((file) => file.path === path);
    const before = known ? known.before : readContents(root, path);
    const file = { part, path, before, after: Buffer.from(bytes).toString('base64') };
    write({ files: [...record.files.filter((each) => each !== known), file] });
    replace(placeIn(root, path), () => writeWhole(placeIn(root, path), bytes, mode, owner));
  }
}

/** Adds what takes back a command, before that is run. */
export function recordCommand(root: string, undo: readonly string[]): void {
  const record = openRecord(root);
  writeRecord(root, { ...record, undo: [undo, ...record.undo] });
}

/**
 * Puts every file back as it was, and removes the record.
 * @returns paths that somebody has changed since and that are left alone
 */
export function undoSetup(root: string): string[] {
  const record = readSetup(root);
  const changed = record.files.filter((file) => !putBack(root, file)).map(({ path }) => path);
  rmSync(placeIn(root, RECORD), { force: true });
  for (const dir of record.dirs.toReversed()) removeIfEmpty(placeIn(root, dir));
  return changed;
}

/** True for a file that is there and not as a setup has left it. */
export function isEdited(root: string, path: string): boolean {
  const now = readContents(root, path);
  return now !== null && readSetup(root).files.find((file) => file.path === path)?.after !== now.base64;
}

/** Where a path is below the root. @throws EzvmError exit 3 where a link on the way leads out of that */
function placeIn(root: string, path: string): string {
  const top = realpathSync(root);
  const names = dirname(path).split('/').filter(Boolean);
  for (let count = 1; root !== '/' && count <= names.length; count++) {
    const dir = join(root, ...names.slice(0, count));
    if (!lstatSync(dir, { throwIfNoEntry: false })) break;
    const leadsTo = realOrNone(dir);
    if (leadsTo === undefined || !`${leadsTo}/`.startsWith(`${top}/`))
      throw fault(
        EXIT.host,
        'path-leaves-root',
        `${dir} is a link that leads out of ${root}, so nothing is written there`,
        {
          help: 'make the link relative, so that it stays below that directory, or put a directory in its place',
        },
      );
  }
  return join(root, path);
}

/** Where a path leads; undefined where that is nothing. */
function realOrNone(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** A file below the root; null where there is none. @throws EzvmError exit 3 where it is a link or no ordinary file */
export function readContents(root: string, path: string): Contents | null {
  const full = placeIn(root, path);
  const stat = lstatSync(full, { throwIfNoEntry: false });
  if (!stat) return null;
  if (!stat.isFile())
    throw fault(EXIT.host, 'path-wrong-kind', `${full} is no ordinary file, so it is not replaced`, {
      help: 'move it away, or put what the setup prints there yourself',
    });
  const { uid, gid, mode } = stat;
  return { base64: readFileSync(full).toString('base64'), mode: mode & 0o7777, uid, gid };
}

/** False for a file that is neither as we made it nor gone. */
function putBack(root: string, { path, before, after }: RecordedFile): boolean {
  const now = readContents(root, path);
  if (now !== null && now.base64 !== after && now.base64 !== before?.base64) return false;
  const full = placeIn(root, path);
  replace(full, () => {
    if (before === null) rmSync(full, { force: true });
    else writeWhole(full, Buffer.from(before.base64, 'base64'), before.mode, before);
  });
  return true;
}

/** Changes what is at a path. Whoever has a setuid program open that was there runs it no more. */
function replace(path: string, change: () => void): void {
  if (!existsSync(path)) {
    change();
    return;
  }
  const old = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    change();
    if ((fstatSync(old).mode & 0o6000) !== 0) fchmodSync(old, 0);
  } finally {
    closeSync(old);
  }
}

/** The record, in a directory that is there and that is in it if we have made it. */
function openRecord(root: string): SetupRecord {
  const record = readSetup(root);
  const dirs = missingDirs(root, [RECORD]);
  if (dirs.length === 0) return record;
  for (const dir of dirs) mkdirSync(placeIn(root, dir), { mode: 0o755 });
  const opened = { ...record, dirs: [...record.dirs, ...dirs] };
  writeRecord(root, opened);
  return opened;
}

function writeRecord(root: string, record: SetupRecord): void {
  writeWhole(placeIn(root, RECORD), Buffer.from(`${JSON.stringify(record, undefined, 1)}\n`), 0o600);
}

/** Directories that the paths need and that are not there, outermost first. */
function missingDirs(root: string, paths: readonly string[]): string[] {
  const missing = new Set<string>();
  for (const path of paths) {
    const chain: string[] = [];
    for (let dir = dirname(path); dir !== '/' && !existsSync(placeIn(root, dir)); dir = dirname(dir))
      chain.unshift(dir);
    for (const dir of chain) missing.add(dir);
  }
  return [...missing];
}

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';

/** The files ezvm itself keeps in a VM's run directory. */
export interface RunFiles {
  readonly state: string;
  /** The plan that was booted. */
  readonly plan: string;
  readonly journal: string;
  /** Written and locked by QEMU. */
  readonly pidfile: string;
}

/** The paths of ezvm's own files in a run directory. */
export function runFiles(runDir: string): RunFiles {
  return {
    state: join(runDir, 'state.json'),
    plan: join(runDir, 'plan.json'),
    journal: join(runDir, 'journal'),
    pidfile: join(runDir, 'qemu.pid'),
  };
}

/** Names of the VMs that have a run directory, sorted. */
export function listRunDirs(runRoot: string): string[] {
  try {
    return readdirSync(runRoot, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw fault(EXIT.host, 'run-dir-unreadable', `${runRoot} cannot be looked at: ${message}`);
  }
}

/**
 * Makes the directory that holds run directories, and refuses one that somebody else could change.
 * @throws EzvmError exit 3
 */
export function ensureRunRoot(runRoot: string): void {
  mkdirSync(runRoot, { recursive: true, mode: 0o700 });
  refuseForeign(runRoot);
}

/**
 * Refuses to believe what lies in a directory that somebody else could change: journals there say which programs to call
 * and which files to remove. One that is not there says nothing.
 * @throws EzvmError exit 3
 */
export function refuseForeign(runRoot: string): void {
  const stat = lstatSync(runRoot, { throwIfNoEntry: false });
  if (!stat) return;
  const uid = process.geteuid?.() ?? stat.uid;
  const wrong = !stat.isDirectory()
    ? 'is not a directory'
    : stat.uid !== uid
      ? `belongs to user ${stat.uid}, not to you (${uid})`
      : (stat.mode & 0o022) !== 0
        ? `can be changed by others (mode ${(stat.mode & 0o7777).toString(8)})`
        : undefined;
  if (!wrong) return;
  throw fault(
    EXIT.host,
    'run-dir-unsafe',
    `${runRoot} ${wrong}, so ezvm keeps nothing in it and believes nothing there`,
    {
      help: `remove it, or set XDG_RUNTIME_DIR to a directory of your own with mode 700`,
    },
  );
}

/** Replaces a file as a whole: readers see the old text or the new, and a crash leaves no half of it. */
export function replaceFile(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.new`);
  naming(path, () => {
    // A guest that owns its QEMU can leave a FIFO there, which nobody would ever read.
    rmSync(temporary, { recursive: true, force: true });
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o600 });
    renameSync(temporary, path);
  });
}

/** Bytes; plans are the largest of our files, and have some ten thousand. */
const LARGEST = 16 * 1024 * 1024;

/**
 * The text of a file that ezvm keeps; undefined where there is none. A guest that owns its QEMU can put anything in its
 * place, which is not waited for, followed or read without end.
 * @throws EzvmError exit 4 when it is no ordinary file, or larger than any of ours
 */
export function readKept(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    // A link, or a socket.
    if (code === 'ELOOP' || code === 'ENXIO') throw damaged(path);
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > LARGEST) throw damaged(path);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Runs `act`, and adds the path to a system error that lacks it, as one of write(2) does. */
export function naming<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    (error as NodeJS.ErrnoException).path = path;
    throw error;
  }
}

/** Removes a run directory, its journal last, so that an interrupted removal is taken up again by the next one. */
export function removeRunDir(runDir: string): void {
  const { journal } = runFiles(runDir);
  let entries: string[];
  try {
    entries = readdirSync(runDir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  for (const entry of entries) {
    const path = join(runDir, entry);
    if (path !== journal) rmSync(path, { recursive: true, force: true });
  }
  rmSync(runDir, { recursive: true, force: true });
}

/** The error for a file of ours that does not hold what we write. */
export function damaged(path: string): EzvmError {
  return fault(EXIT.state, 'state-damaged', `${path} was not written by this version of ezvm, or is damaged`, {
    help: "end the VM's processes by hand, then remove the directory that holds this file",
  });
}

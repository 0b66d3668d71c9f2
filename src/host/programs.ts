import { accessSync, constants, existsSync, type Stats, statSync } from 'node:fs';
import { type Diagnostic, EXIT, fault } from '../core/diagnostic.ts';

/** Where root looks, whatever its PATH says: it may be the PATH of the one who called sudo. */
const TRUSTED = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Programs that ezvm may start, with the directories where distributions hide some of them from the PATH. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  swtpm: [],
  swtpm_setup: [],
  'remote-viewer': [],
  'virt-viewer': [],
  spicy: [],
  vncviewer: [],
  'looking-glass-client': [],
  virtiofsd: ['/usr/libexec', '/usr/lib/qemu', '/usr/lib'],
  passt: [],
  'qemu-img': [],
  'qemu-bridge-helper': ['/usr/libexec', '/usr/lib/qemu', '/usr/lib'],
  setpriv: [],
};

/** The directories where programs are looked for. */
export function programDirs(path: string | undefined, euid: number): readonly string[] {
  const dirs = euid === 0 || path === undefined ? TRUSTED : path.split(':').filter((dir) => dir.startsWith('/'));
  // Where /bin is /usr/bin by a link, each search would look there twice.
  const seen = new Map<string, string>();
  for (const dir of dirs) {
    const found = look(dir);
    const inode = `${found?.dev} ${found?.ino}`;
    if (found?.isDirectory() && !seen.has(inode)) seen.set(inode, dir);
  }
  return [...seen.values()];
}

/** What may not be looked at (after `su`, a PATH may lead through a home of root's) is as good as not there. */
function look(dir: string): Stats | undefined {
  try {
    return statSync(dir, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The first of `dirs` with an executable file called `name`, as a path. */
export function findProgram(name: string, dirs: readonly string[]): string | undefined {
  return dirs.map((dir) => `${dir}/${name}`).find(isExecutable);
}

/**
 * The path of a program of util-linux that does for ezvm what Node cannot.
 * @throws EzvmError exit 3 when it is not installed
 */
export function findUtility(name: 'flock' | 'setsid'): string {
  const path = findProgram(name, programDirs(process.env['PATH'], process.geteuid?.() ?? 0));
  if (path) return path;
  throw fault(EXIT.host, 'program-missing', `${name} is not installed`, { help: 'install the package util-linux' });
}

/** The programs of this machine by name; `chosen` comes from settings and wins, with a warning when it is no path. */
export function findPrograms(
  dirs: readonly string[],
  chosen: Readonly<Record<string, string>>,
): { readonly programs: Record<string, string>; readonly diagnostics: readonly Diagnostic[] } {
  const programs: Record<string, string> = {};
  const diagnostics: Diagnostic[] = [];
  for (const name of new Set([...Object.keys(PROGRAMS), ...Object.keys(chosen)])) {
    const path = chosen[name];
    const found = path === undefined ? findProgram(name, [...dirs, ...(PROGRAMS[name] ?? [])]) : path;
    // A path that leads to none is told by what wants to run it.
    if (path !== undefined && !path.startsWith('/'))
      diagnostics.push({ ...noProgram(name, path), severity: 'warning' });
    else if (found !== undefined) programs[name] = found;
  }
  return { programs, diagnostics };
}

/** The fault of a setting that names something that cannot be run. */
export function noProgram(name: string, path: string): Diagnostic {
  return {
    severity: 'error',
    code: 'program-invalid',
    message: `the setting for ${name} is ${JSON.stringify(path)}, which is no program that can be run`,
    help: 'give the absolute path of an executable file, or remove the setting',
  };
}

/** True for a file, not a directory, that the caller may execute. */
export function isExecutable(path: string): boolean {
  // Most candidates do not exist, and an exception costs more than all the rest.
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

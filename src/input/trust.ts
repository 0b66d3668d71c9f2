import { lstatSync, readdirSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import { shellQuote } from '../core/quote.ts';

/**
 * Refuses a file or directory that someone other than this user and root could have written: settings and templates name
 * programs to run.
 * @throws EzvmError
 */
export function refuseUntrusted(path: string, euid: number): void {
  const stat = statSync(path);
  const isOurs = stat.uid === euid || stat.uid === 0;
  // What names programs for root to run, no group may write either.
  const others = euid === 0 ? 0o022 : 0o002;
  if (isOurs && (stat.mode & others) === 0) return;
  throw fault(
    EXIT.config,
    'settings-untrusted',
    `${path} could have been written by someone else, and it can name programs to run`,
    {
      help: isOurs
        ? `chmod ${euid === 0 ? 'go' : 'o'}-w ${shellQuote(path)}`
        : `look at what it says, then: chown ${euid} ${shellQuote(path)}`,
    },
  );
}

/** The same for a directory and all files and directories in it. */
export function refuseUntrustedTree(root: string, euid: number): void {
  refuseUntrusted(root, euid);
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }))
    if (entry.isFile() || entry.isDirectory()) refuseUntrusted(join(entry.parentPath, entry.name), euid);
}

/** More links than any honest path has; the kernel's own limit. */
const MOST_LINKS = 40;

/**
 * Where a path leads, if root alone can change that: every directory on the way, those of links among them, is root's and
 * nobody else may write to it. What lies at its end is not judged.
 */
export function followRootsPath(path: string): string | undefined {
  let at = '/';
  const rest = path.split('/');
  for (let links = 0; rest.length > 0; ) {
    const name = rest.shift();
    if (name === undefined || name === '' || name === '.') continue;
    if (!isRootsAlone(statSync(at))) return undefined;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const next = join(at, name);
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (!stat) return undefined;
    if (!stat.isSymbolicLink()) at = next;
    else {
      if (++links > MOST_LINKS) return undefined;
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = '/';
      rest.unshift(...target.split('/'));
    }
  }
  return at;
}

/** The real path of a file that root alone could have written, and can change. */
export function followRootsFile(path: string): string | undefined {
  const real = followRootsPath(path);
  return real !== undefined && isRootsAlone(statSync(real)) ? real : undefined;
}

function isRootsAlone({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & 0o022) === 0;
}

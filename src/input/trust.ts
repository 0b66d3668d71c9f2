import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
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
  if (isOurs && (stat.mode & 0o002) === 0) return;
  throw fault(
    EXIT.config,
    'settings-untrusted',
    `${path} could have been written by someone else, and it can name programs to run`,
    {
      help: isOurs ? `chmod o-w ${shellQuote(path)}` : `look at what it says, then: chown ${euid} ${shellQuote(path)}`,
    },
  );
}

/** The same for a directory and all files and directories in it. */
export function refuseUntrustedTree(root: string, euid: number): void {
  refuseUntrusted(root, euid);
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }))
    if (entry.isFile() || entry.isDirectory()) refuseUntrusted(join(entry.parentPath, entry.name), euid);
}

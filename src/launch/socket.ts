import { existsSync, readFileSync, statSync } from 'node:fs';

const LISTENING = '00010000';

/**
 * Whether a program listens on the Unix socket at `path`. It is not connected to: swtpm, for one, ends with its first
 * connection.
 */
export function isListening(path: string): boolean {
  // The file alone proves nothing: it is there before listen(), and stays when its owner is killed.
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return false;
  if (!existsSync('/proc/net/unix')) return true;
  // Num: RefCount Protocol Flags Type St Inode Path
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => line.endsWith(` ${path}`) && line.split(/\s+/, 4)[3] === LISTENING);
}

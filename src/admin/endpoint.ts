import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Sidecar } from '../plan/plan.ts';

/** How /proc/net/unix and /proc/net/tcp write what is asked for here. */
const LISTENING = '00010000';
const CONNECTED = '03';
const ESTABLISHED = '01';

/**
 * Whether a program listens on the Unix socket at `path`. It is not connected to: swtpm, for one, ends with its first
 * connection.
 */
export function isListening(path: string): boolean {
  // The file alone proves nothing: it is there before listen(), and stays when its owner is killed.
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return false;
  if (!existsSync('/proc/net/unix')) return true;
  return unixSockets(path).some(({ flags }) => flags === LISTENING);
}

/** Whether `hasClient` can tell on this system. */
export function canSeeClients(): boolean {
  return existsSync('/proc/net/unix');
}

/** Whether somebody is connected to a server of this machine. */
export function hasClient(server: NonNullable<Sidecar['needs']>): boolean {
  if ('socket' in server) return unixSockets(server.socket).some(({ state }) => state === CONNECTED);
  const port = `:${server.port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((table) =>
    // sl local_address rem_address st
    rowsOf(table).some(([, local, , state]) => local?.endsWith(port) && state === ESTABLISHED),
  );
}

/** The sockets at a path: the one that listens, and one for each connection that it has accepted. */
function unixSockets(path: string): { flags: string | undefined; state: string | undefined }[] {
  // Num: RefCount Protocol Flags Type St Inode Path
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${path}`))
    .map((line) => line.split(/\s+/, 6))
    .map((fields) => ({ flags: fields[3], state: fields[5] }));
}

function rowsOf(table: string): string[][] {
  try {
    return readFileSync(table, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/, 4));
  } catch {
    return [];
  }
}

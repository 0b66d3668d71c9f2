import { textIn } from './reading.ts';

/** The name of a group of this host's own, or its number where /etc/group does not know it. */
export function groupName(gid: number): string {
  const entries = textIn('/etc/group').split('\n');
  return entries.map((line) => line.split(':')).find(([, , number]) => number === String(gid))?.[0] ?? String(gid);
}

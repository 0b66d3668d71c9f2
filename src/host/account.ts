import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Somebody who can log in. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The account with a name or a number, wherever the host keeps its accounts; undefined where there is none. */
export function findAccount(nameOrUid: string): Account | undefined {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(nameOrUid)) return undefined;
  const { status, stdout } = spawnSync('/usr/bin/getent', ['passwd', nameOrUid], { encoding: 'utf8', env: {} });
  const [name, , uid, gid, , home] = (stdout ?? '').trim().split(':');
  if (status !== 0 || !name || !uid || !gid || !home?.startsWith('/')) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home };
}

/** The number of a group: wherever the host keeps its groups, or in the file of a system that lies below `root`. */
export function findGroup(name: string, root: string): number | undefined {
  const lines =
    root === '/'
      ? spawnSync('/usr/bin/getent', ['group', name], { encoding: 'utf8', env: {} }).stdout
      : readGroups(join(root, 'etc', 'group'));
  const gid = (lines ?? '')
    .split('\n')
    .find((line) => line.startsWith(`${name}:`))
    ?.split(':')[2];
  return gid === undefined ? undefined : Number(gid);
}

/** Whom root acts for: the one who called sudo, pkexec or doas, as they tell it; undefined where nobody did. */
export function findCaller(env: Readonly<Record<string, string | undefined>>): Account | undefined {
  const told = env['SUDO_UID'] ?? env['PKEXEC_UID'] ?? env['DOAS_USER'];
  const account = told === undefined ? undefined : findAccount(told);
  return account?.uid === 0 ? undefined : account;
}

function readGroups(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

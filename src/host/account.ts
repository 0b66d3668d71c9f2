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

/** Whom root acts for: the one who called sudo, pkexec or doas, as they tell it; undefined where nobody did, or not clearly. */
export function findCaller(env: Readonly<Record<string, string | undefined>>): Account | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const uids = [env['SUDO_UID'], env['PKEXEC_UID']].filter((told) => told !== undefined);
  const told = [...uids.map((uid) => (/^\d+$/.test(uid) ? uid : '')), env['DOAS_USER']];
  const accounts = told.flatMap((each) => (each === undefined ? [] : [findAccount(each)]));
  // Each of these programs sets its own, and may let its caller set the others: to name somebody else.
  const [account, ...others] = accounts;
  return account?.uid === 0 || others.some((other) => other?.uid !== account?.uid) ? undefined : account;
}

/** The groups of an account, by their numbers. */
export function groupsOf({ uid }: Account): readonly number[] {
  const { stdout } = spawnSync('/usr/bin/id', ['--groups', '--', String(uid)], { encoding: 'utf8', env: {} });
  return (stdout ?? '').trim().split(/\s+/).filter(Boolean).map(Number);
}

function readGroups(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

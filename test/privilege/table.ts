import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CHECKOUT } from '../checkout.ts';

/** What /proc/PID/status says of a process' rights. */
export interface Rights {
  readonly Uid: string;
  readonly Gid: string;
  readonly Groups: string;
  readonly CapInh: string;
  readonly CapPrm: string;
  readonly CapEff: string;
  readonly CapBnd: string;
  readonly CapAmb: string;
  readonly NoNewPrivs: string;
  readonly Seccomp: string;
}

const FIELDS = [
  ...['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'],
  ...['NoNewPrivs', 'Seccomp'],
] as readonly (keyof Rights)[];
const NONE = '0000000000000000';
const COLUMNS = 8;

/** The table in docs/security.md. */
const TABLE = readFileSync(join(CHECKOUT, 'docs', 'security.md'), 'utf8')
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter((cells) => cells.length === COLUMNS + 2)
  .map((cells) => cells.slice(1, -1));

/** The part about rights of the text of a /proc/PID/status. */
export function rightsOf(status: string): Rights {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
  const found = Object.fromEntries(FIELDS.map((name) => [name, field(name)])) as { [name in keyof Rights]: string };
  return { ...found, Groups: sorted(found.Groups.split(' ').filter(Boolean)) };
}

/**
 * What a process should have, by the line of the table about it.
 * @param before what the one has who starts it
 * @throws Error when the table has no such line
 */
export function rightsByTable(
  by: string,
  process: string,
  user: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] },
  before: Rights,
): Rights {
  const [, , uid, groups, capabilities, bounding, noNewPrivs = '', seccomp = ''] =
    TABLE.find(([starter, name]) => starter === by && name === process) ?? [];
  if (uid === undefined) throw new Error(`docs/security.md has no line for ${process}, started by ${by}`);
  const ids = uid === 'user' ? user : { uid: Number(uid), gid: Number(uid) };
  const set = capabilities === 'none' ? NONE : before.CapEff;
  return {
    Uid: Array(4).fill(ids.uid).join('\t'),
    Gid: Array(4).fill(ids.gid).join('\t'),
    Groups: groups === "user's" ? sorted(user.groups) : before.Groups,
    CapInh: set,
    CapPrm: set,
    CapEff: set,
    CapBnd: bounding === 'none' ? NONE : bounding === 'its own' ? expect.any(String) : before.CapBnd,
    CapAmb: set,
    NoNewPrivs: noNewPrivs,
    Seccomp: seccomp,
  };
}

function sorted(groups: readonly (number | string)[]): string {
  return groups
    .map(Number)
    .toSorted((a, b) => a - b)
    .join(' ');
}

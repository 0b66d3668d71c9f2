import type { Account } from '../../host/account.ts';
import type { Plan } from '../../plan/plan.ts';

/** What the helper takes as a path, in a policy as on its command line. */
const PATH = /^(\/[A-Za-z0-9._+:=@-]+)+$/;

/** A policy of the setuid helper (docs/helper.md) that lets a person start these VMs, and the paths that it cannot name. */
export function writePolicy(
  plans: readonly Plan[],
  { name, uid }: Pick<Account, 'name' | 'uid'>,
): { text: string; unnamed: readonly string[] } {
  const who = /^[a-z_][a-z0-9_-]*$/.test(name) ? `user:${name}` : `uid:${uid}`;
  const disks = plans.flatMap(({ qemu }) => qemu.descriptors.filter(({ type }) => type === 'block'));
  const programs = new Set(plans.map(({ qemu }) => qemu.argv[0] ?? ''));
  const wanted = [
    ...[...programs].map((path) => ({ path, line: `allow  ${who}  program  ${path}` })),
    ...[...new Set(disks.map(({ path }) => path))].map((path) => {
      const isWritten = disks.some((disk) => disk.path === path && disk.access === 'write');
      return { path, line: `allow  ${who}  block    ${path}  ${isWritten ? 'rw' : 'ro'}` };
    }),
  ];
  const [named, unnamed] = [true, false].map((isNamed) => wanted.filter(({ path }) => PATH.test(path) === isNamed));
  const lines = (named ?? []).map(({ line }) => line).toSorted();
  return {
    text: ['# who  what: see docs/helper.md. Whoever may write a disk may write all that is on it.', ...lines, ''].join(
      '\n',
    ),
    unnamed: (unnamed ?? []).map(({ path }) => path),
  };
}

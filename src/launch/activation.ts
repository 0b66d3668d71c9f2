import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { recordCommand } from '../admin/setup.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { findGroup } from '../host/account.ts';

/** A command that makes the host heed files that were installed, and the one that takes it back. */
export interface Activation {
  readonly argv: readonly string[];
  readonly undo?: readonly string[];
}

const SYSUSERS = '/usr/bin/systemd-sysusers';

/** Which commands make a group, and somebody its member. */
export function membership(group: string, user: string): Activation[] {
  const made = existsSync(SYSUSERS)
    ? [SYSUSERS, '--inline', `g ${group} - -`]
    : ['/usr/sbin/groupadd', '--system', group];
  const all: (Activation | false)[] = [
    findGroup(group, '/') === undefined && { argv: made, undo: ['/usr/sbin/groupdel', group] },
    !isMember(group, user) && {
      argv: ['/usr/sbin/usermod', '--append', '--groups', group, user],
      undo: ['/usr/bin/gpasswd', '--delete', user, group],
    },
  ];
  return all.filter((one) => one !== false);
}

/** Daemons that read some of these files again when they are told to, and where each can be seen to run. */
const DAEMONS: readonly { reads: RegExp; runs: string; argv: readonly string[] }[] = [
  { reads: /\/rules\.d\//, runs: '/run/udev/control', argv: ['/usr/bin/udevadm', 'control', '--reload'] },
  {
    reads: /\/70-ezvm\.rules$/,
    runs: '/run/udev/control',
    argv: ['/usr/bin/udevadm', 'trigger', '--action=change'],
  },
  { reads: /\/systemd\/network\//, runs: '/run/systemd/netif/state', argv: ['/usr/bin/networkctl', 'reload'] },
  { reads: /\/NetworkManager\//, runs: '/run/NetworkManager', argv: ['/usr/bin/nmcli', 'connection', 'reload'] },
];

/** Which commands make the host do at once what these files say; the programs of those that it has. */
export function heeding(files: readonly { readonly path: string }[]): Activation[] {
  const has = (part: string): boolean => files.some(({ path }) => path.includes(part));
  const once: (Activation | false)[] = [
    has('/tmpfiles.d/') && { argv: ['/usr/bin/systemd-tmpfiles', '--create', '/etc/tmpfiles.d/ezvm.conf'] },
    has('/modules-load.d/') && { argv: ['/usr/lib/systemd/systemd-modules-load'] },
  ];
  const present = once.filter((one) => one !== false).filter(({ argv: [program = ''] }) => existsSync(program));
  return [...present, ...telling(files)];
}

/** Which commands make daemons that run read their files again. */
function telling(files: readonly { readonly path: string }[]): Activation[] {
  return DAEMONS.filter(({ reads, runs }) => existsSync(runs) && files.some(({ path }) => reads.test(path)));
}

/** Runs them, each one's undoing recorded first. What a command refuses is told; the others are run all the same. */
export async function performActivation(root: string, commands: readonly Activation[]): Promise<Diagnostic[]> {
  return commands.flatMap(({ argv, undo }) => {
    if (undo) recordCommand(root, undo);
    return run(argv);
  });
}

/** Takes back what commands have done, and has daemons heed that files are gone. */
export async function undoActivation(
  root: string,
  undo: readonly (readonly string[])[],
  files: readonly { readonly path: string }[],
): Promise<Diagnostic[]> {
  return root === '/' ? [...undo, ...telling(files).map(({ argv }) => argv)].flatMap(run) : [];
}

function run([program = '', ...args]: readonly string[]): Diagnostic[] {
  const { status, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status === 0) return [];
  const said = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  return [
    {
      severity: 'warning',
      code: 'command-failed',
      message: `${[program, ...args].join(' ')} did not succeed: ${said || `status ${status}`}`,
      help: 'a reboot does the same',
    },
  ];
}

function isMember(group: string, user: string): boolean {
  const { stdout } = spawnSync('/usr/bin/id', ['--groups', '--name', user], { encoding: 'utf8', env: {} });
  return (stdout ?? '').trim().split(/\s+/).includes(group);
}

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { recordCommand } from '../admin/setup.ts';
import type { Diagnostic } from '../core/diagnostic.ts';

/** A command that makes the host heed files that were installed, and the one that takes it back. */
export interface Activation {
  readonly argv: readonly string[];
  readonly undo?: readonly string[];
}

/** Which commands make the host heed these files; of those that it has. */
export function plannedActivation(
  files: readonly { readonly path: string }[],
  group: string,
  user: string,
): Activation[] {
  const has = (part: string): boolean => files.some(({ path }) => path.includes(part));
  const all: (Activation | false)[] = [
    !hasGroup(group) && {
      argv: ['/usr/sbin/groupadd', '--system', group],
      undo: ['/usr/sbin/groupdel', group],
    },
    !isMember(group, user) && {
      argv: ['/usr/sbin/usermod', '--append', '--groups', group, user],
      undo: ['/usr/bin/gpasswd', '--delete', user, group],
    },
    has('/tmpfiles.d/') && { argv: ['/usr/bin/systemd-tmpfiles', '--create', '/etc/tmpfiles.d/ezvm.conf'] },
    has('/modules-load.d/') && { argv: ['/usr/lib/systemd/systemd-modules-load'] },
    has('/rules.d/') && { argv: ['/usr/bin/udevadm', 'control', '--reload'] },
    has('/70-ezvm.rules') && { argv: ['/usr/bin/udevadm', 'trigger', '--action=change'] },
    has('/systemd/network/') && { argv: ['/usr/bin/networkctl', 'reload'] },
    has('/NetworkManager/') && { argv: ['/usr/bin/nmcli', 'connection', 'reload'] },
  ];
  return all.filter((one) => one !== false).filter(({ argv: [program = ''] }) => existsSync(program));
}

/** Runs them, each one's undoing recorded first. What a command refuses is told; the others are run all the same. */
export async function performActivation(root: string, commands: readonly Activation[]): Promise<Diagnostic[]> {
  return commands.flatMap(({ argv, undo }) => {
    if (undo) recordCommand(root, undo);
    return run(argv);
  });
}

/** Takes back what commands have done, and makes the host heed that files are gone. */
export async function undoActivation(root: string, undo: readonly (readonly string[])[]): Promise<Diagnostic[]> {
  if (root !== '/') return [];
  const heed: readonly string[][] = [
    ['/usr/bin/udevadm', 'control', '--reload'],
    ['/usr/bin/udevadm', 'trigger', '--action=change'],
    ['/usr/bin/networkctl', 'reload'],
  ];
  return [...undo, ...heed.filter(([program = '']) => existsSync(program))].flatMap(run);
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

function hasGroup(name: string): boolean {
  return spawnSync('/usr/bin/getent', ['group', name], { env: {}, stdio: 'ignore' }).status === 0;
}

function isMember(group: string, user: string): boolean {
  const { stdout } = spawnSync('/usr/bin/id', ['--groups', '--name', user], { encoding: 'utf8', env: {} });
  return (stdout ?? '').trim().split(/\s+/).includes(group);
}

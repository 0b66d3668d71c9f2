import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, lstatSync, readdirSync } from 'node:fs';
import { type RecordedFile, recordCommand } from '../admin/setup.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { DEVICE_RULES } from '../formats/setup/udev.ts';
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

/** What has a daemon heed that its files have come, and that they are gone, and where it can be seen to run. */
interface Heeding {
  readonly reads: RegExp;
  readonly runs: string;
  readonly come: readonly string[];
  readonly gone: readonly string[];
}

const UDEVADM = '/usr/bin/udevadm';
const NETWORKCTL = '/usr/bin/networkctl';
const DEVICES = ['block', 'vfio', 'vfio-dev', 'misc', 'kvmfr', 'usb', 'input'].map(
  (each) => `--subsystem-match=${each}`,
);

const DAEMONS: readonly Heeding[] = [
  same(/\/rules\.d\//, '/run/udev/control', [UDEVADM, 'control', '--reload']),
  {
    reads: new RegExp(`^${DEVICE_RULES}$`),
    runs: '/run/udev/control',
    come: [UDEVADM, 'trigger', '--action=change', ...DEVICES],
    // Only for a device that is added do udev's own rules say whose it is, so that the group would keep it.
    gone: [UDEVADM, 'trigger', '--settle', '--action=add', ...DEVICES],
  },
  same(/\/systemd\/network\//, '/run/systemd/netif/state', [NETWORKCTL, 'reload']),
  same(/\/NetworkManager\//, '/run/NetworkManager', ['/usr/bin/nmcli', 'connection', 'reload']),
];

function same(reads: RegExp, runs: string, argv: readonly string[]): Heeding {
  return { reads, runs, come: argv, gone: argv };
}

/** Which commands make the host do at once what these files say; the programs of those that it has. */
export function heeding(files: readonly { readonly path: string }[]): Activation[] {
  const has = (part: string): boolean => files.some(({ path }) => path.includes(part));
  const once: (Activation | false)[] = [
    has('/tmpfiles.d/') && { argv: ['/usr/bin/systemd-tmpfiles', '--create', '/etc/tmpfiles.d/ezvm.conf'] },
    has('/modules-load.d/') && { argv: ['/usr/lib/systemd/systemd-modules-load'] },
  ];
  const present = once.filter((one) => one !== false).filter(({ argv: [program = ''] }) => existsSync(program));
  const made = files.flatMap(({ path }) => /\/60-ezvm-([^/]+)\.netdev$/.exec(path)?.[1] ?? []);
  const fresh = made.filter((name) => !existsSync(`/sys/class/net/${name}`));
  return [
    ...present,
    ...running(files).map(({ come }): Activation => {
      // networkd leaves what it has made when its file goes.
      const leaves = come[0] === NETWORKCTL && fresh.length > 0;
      return { argv: come, ...(leaves && { undo: [NETWORKCTL, 'delete', ...fresh] }) };
    }),
  ];
}

/** The daemons that run of those that read these files. */
function running(files: readonly { readonly path: string }[]): Heeding[] {
  return DAEMONS.filter(({ reads, runs }) => existsSync(runs) && files.some(({ path }) => reads.test(path)));
}

/** Runs them, each one's undoing recorded first. What a command refuses is told; the others are run all the same. */
export async function performActivation(root: string, commands: readonly Activation[]): Promise<Diagnostic[]> {
  return commands.flatMap(({ argv, undo }) => {
    if (undo) recordCommand(root, undo);
    return run(argv);
  });
}

/** Has daemons heed that files are gone, and takes back what commands have done. */
export async function undoActivation(
  root: string,
  undo: readonly (readonly string[])[],
  files: readonly RecordedFile[],
): Promise<Diagnostic[]> {
  if (root !== '/') return [];
  takeNodes(files);
  // A group goes last: until then devices are its.
  return [...running(files).map(({ gone }) => gone), ...undo].flatMap(run);
}

/** No rule of udev's own says whose VFIO's nodes are, so that they would stay the group's, and be of whichever gets its number. */
function takeNodes(files: readonly RecordedFile[]): void {
  const rules = files.find(({ path }) => path === DEVICE_RULES)?.after ?? '';
  const group = /GROUP="([^"]+)"/.exec(Buffer.from(rules, 'base64').toString('utf8'))?.[1];
  const gid = group === undefined ? undefined : findGroup(group, '/');
  for (const folder of ['/dev/vfio', '/dev/vfio/devices'])
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      const node = `${folder}/${name}`;
      const stat = lstatSync(node, { throwIfNoEntry: false });
      if (!stat?.isCharacterDevice() || stat.gid !== gid) continue;
      chownSync(node, 0, 0);
      chmodSync(node, 0o600);
    }
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

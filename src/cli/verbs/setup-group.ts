import { closeSync, constants, existsSync, openSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { installSetup, readInstalled, readSetup } from '../../admin/setup.ts';
import { type Diagnostic, EXIT, EzvmError, fault } from '../../core/diagnostic.ts';
import { diffLines } from '../../core/diff.ts';
import { type SetupFile, setupFiles } from '../../formats/setup/files.ts';
import { gatherNeeds } from '../../formats/setup/needs.ts';
import type { Account } from '../../host/account.ts';
import { readPci } from '../../host/pci.ts';
import { performActivation, plannedActivation } from '../../launch/activation.ts';
import type { CliContext } from '../context.ts';
import { printable } from '../print/diagnostics.ts';
import type { Flags, Verb } from '../verb.ts';
import { findBeneficiary, planAtHand } from '../vms-at-hand.ts';

export const verb: Verb = {
  usage: 'setup group [FILE|NAME…]',
  summary:
    'Prints the files that give the members of a group what VMs need of this host, as differences from what is there: all VMs\nfound by name, or those named. With --apply, as root, installs them and notes what was there before.',
  example: 'sudo ezvm setup group --apply windows-11.yaml',
  flags: {
    apply: { type: 'boolean', help: 'install them; `ezvm setup undo` puts everything back' },
    group: { type: 'string', value: 'NAME', help: 'the group; ezvm unless given' },
    user: { type: 'string', value: 'NAME', help: 'who becomes a member and owns taps; you, or who called sudo' },
    bridge: { type: 'string', value: 'NAME', help: 'the bridge that taps join' },
    network: { type: 'string', value: 'DAEMON', help: 'networkd or networkmanager; the one that runs here' },
    root: { type: 'string', value: 'DIR', help: 'work on the system below that directory, and run no commands' },
  },
  words: [0, 100],
  async run(refs, flags, context) {
    const root = typeof flags['root'] === 'string' ? resolve(context.cwd, flags['root']) : '/';
    const user = findBeneficiary(wordFlag(flags, 'user'), context);
    const { files, notes } = await wantedFiles(refs, user, flags, context);
    const commands = root === '/' ? plannedActivation(files, groupOf(flags), user.name) : [];
    context.report(notes);
    for (const line of describe(root, files)) context.out(`${printable(line)}\n`);
    for (const { argv } of commands) context.out(`run ${argv.join(' ')}\n`);
    if (flags['apply'] !== true) {
      context.err('nothing is changed yet; to install it, as root: ezvm setup group --apply\n');
      return EXIT.ok;
    }
    if (root === '/' && process.geteuid?.() !== 0)
      throw fault(EXIT.host, 'not-root', 'only root can install this', { help: 'the same again with sudo' });
    installSetup(root, files);
    context.report(await performActivation(root, commands));
    context.err(`installed; ezvm setup undo puts everything back\n${afterwards(files, user)}`);
    return EXIT.ok;
  },
};

async function wantedFiles(
  refs: readonly string[],
  user: Account,
  flags: Flags,
  context: CliContext,
): Promise<{ files: SetupFile[]; notes: readonly Diagnostic[] }> {
  const needs = gatherNeeds(await planAtHand(refs, context));
  const functions = needs.pci.map((address) => ({ address, found: readPci(address) }));
  const missing = functions.filter(({ found }) => !found).map(({ address }) => address);
  const bridge = wordFlag(flags, 'bridge');
  const files = setupFiles(needs, {
    group: groupOf(flags),
    user,
    networkDaemon: networkDaemon(flags),
    ...(bridge !== undefined && { bridge }),
    functions: functions.flatMap(({ found }) => found ?? []),
    interfaces: existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [],
  });
  return {
    files,
    notes: [
      ...missing.map(noDevice),
      ...needs.blocks.filter(isUnsteady).map(unsteady),
      ...needs.blocks.filter(isInUse).map(inUse),
    ],
  };
}

function noDevice(address: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'pci-missing',
    message: `there is no PCI device ${address} here, so nothing binds it to vfio-pci`,
    help: 'see the addresses with: lspci -D',
  };
}

/** As far as we may look. */
function isInUse(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBUSY';
  }
}

function inUse(path: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'device-busy',
    message: `${path} is in use; if the host itself uses it, whoever is in the group can write over its files and become root`,
    help: `see what is on it: lsblk ${path}`,
  };
}

/** Names that go to whichever device is found first. */
function isUnsteady(path: string): boolean {
  return /^\/dev\/(sd|nvme|vd|mmcblk)[^/]*$/.test(path);
}

function unsteady(path: string): Diagnostic {
  return {
    severity: 'warning',
    code: 'name-unsteady',
    message: `${path} may be another disk after the next boot, and the group would be given that one`,
    help: 'name it in the VM file by its link in /dev/disk/by-id',
  };
}

function describe(root: string, files: readonly SetupFile[]): string[] {
  const wanted = new Map(files.map((file) => [file.path, file.text]));
  const dropped = readSetup(root).files.filter(({ path }) => !wanted.has(path));
  const changes = [
    ...files.map(({ path, text }) => ({ path, lines: diffLines(readInstalled(root, path), text) })),
    ...dropped.map(({ path, before }) => ({
      path,
      lines: diffLines(
        readInstalled(root, path),
        before === null ? undefined : Buffer.from(before.base64, 'base64').toString('utf8'),
      ),
    })),
  ].filter(({ lines }) => lines.length > 0);
  if (changes.length === 0) return ['everything is installed already'];
  return changes.flatMap(({ path, lines }) => [`--- ${path}`, `+++ ${path}`, ...lines]);
}

function afterwards(files: readonly SetupFile[], { name }: Account): string {
  const binds = files.some(({ path }) => path.endsWith('ezvm-vfio-bind.rules'));
  return [
    `${name}: log out and in again, so that you are in the group\n`,
    binds
      ? 'reboot, so that devices get vfio-pci before other drivers (and make the initramfs anew if those are in it)\n'
      : '',
  ].join('');
}

function groupOf(flags: Flags): string {
  return wordFlag(flags, 'group') ?? 'ezvm';
}

/** Flags become words of files that root's programs read. */
function wordFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  if (typeof value !== 'string') return undefined;
  if (/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(value)) return value;
  throw new EzvmError(
    [{ severity: 'error', code: 'flag-wrong', message: `--${name} is ${JSON.stringify(value)}, which is no name` }],
    EXIT.usage,
  );
}

function networkDaemon(flags: Flags): 'networkd' | 'networkmanager' {
  const chosen = wordFlag(flags, 'network');
  if (chosen === undefined) return existsSync('/run/NetworkManager') ? 'networkmanager' : 'networkd';
  if (chosen === 'networkd' || chosen === 'networkmanager') return chosen;
  throw fault(EXIT.usage, 'flag-wrong', `--network is ${chosen}; there are networkd and networkmanager`);
}

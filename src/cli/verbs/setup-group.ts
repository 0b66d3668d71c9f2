import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { type Diagnostic, EXIT, fault } from '../../core/diagnostic.ts';
import { type SetupFile, setupFiles } from '../../formats/setup/files.ts';
import { gatherNeeds } from '../../formats/setup/needs.ts';
import type { Account } from '../../host/account.ts';
import { interfacesHere } from '../../host/links.ts';
import { heeding, membership } from '../../launch/activation.ts';
import type { CliContext } from '../context.ts';
import { tellEarlyDrivers } from '../early-drivers.ts';
import { carryOut, groupOf, rootOf, type Setup, wordFlag } from '../setup.ts';
import type { Flags, Verb } from '../verb.ts';
import { findBeneficiary, findFunctions, planAtHand } from '../vms-at-hand.ts';

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
    const root = rootOf(flags, context);
    const user = findBeneficiary(wordFlag(flags, 'user'), context);
    const { files, notes } = await wantedFiles(refs, user, flags, context);
    const setup: Setup = {
      part: 'group',
      files,
      before: root === '/' ? membership(groupOf(flags), user.name) : [],
      after: root === '/' ? heeding(files) : [],
    };
    context.report(notes);
    if (await carryOut(root, setup, flags, context))
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
  const { functions, missing } = findFunctions(needs);
  const bridge = wordFlag(flags, 'bridge');
  const files = setupFiles(needs, {
    group: groupOf(flags),
    user,
    networkDaemon: networkDaemon(flags),
    ...(bridge !== undefined && { bridge }),
    functions,
    interfaces: interfacesHere(),
  });
  return {
    files,
    notes: [
      ...missing,
      ...tellEarlyDrivers(functions),
      ...needs.blocks.filter(isUnsteady).map(unsteady),
      ...needs.blocks.filter(isInUse).map(inUse),
    ],
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

function afterwards(files: readonly SetupFile[], { name }: Account): string {
  const binds = files.some(({ path }) => path.endsWith('ezvm-vfio-bind.rules'));
  return [
    `${name}: log out and in again, so that you are in the group\n`,
    binds ? 'reboot, so that devices get vfio-pci before other drivers\n' : '',
  ].join('');
}

function networkDaemon(flags: Flags): 'networkd' | 'networkmanager' {
  const chosen = wordFlag(flags, 'network');
  if (chosen === undefined) return existsSync('/run/NetworkManager') ? 'networkmanager' : 'networkd';
  if (chosen === 'networkd' || chosen === 'networkmanager') return chosen;
  throw fault(EXIT.usage, 'flag-wrong', `--network is ${chosen}; there are networkd and networkmanager`);
}

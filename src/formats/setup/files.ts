import type { PciFunction } from '../../host/pci.ts';
import type { HostNeeds } from './needs.ts';
import { type NetworkDaemon, networkFiles } from './network.ts';
import { bindingRules, DEVICE_RULES, deviceRules } from './udev.ts';

/** A file of the host's that the setup makes. */
export interface SetupFile {
  readonly path: string;
  /** A text, or the bytes of a program. */
  readonly content: string | Uint8Array;
  readonly mode: number;
  /** Whose it is beside root. */
  readonly group?: string;
  /** Left as it is where the administrator has written it. */
  readonly keepsEdits?: boolean;
}

/** Whom the host is set up for. */
export interface SetupTarget {
  readonly group: string;
  readonly user: { readonly name: string; readonly uid: number };
  readonly networkDaemon: NetworkDaemon;
  /** The bridge that taps join. */
  readonly bridge?: string;
  /** PCI functions of the host that are wanted and there. */
  readonly functions: readonly PciFunction[];
  /** Interfaces that exist already. */
  readonly interfaces: readonly string[];
}

/** The files that give members of a group what the VMs need, sorted by path; only what is needed is in them. */
export function setupFiles(needs: HostNeeds, target: SetupTarget): SetupFile[] {
  const { group, user, functions } = target;
  const kibibytes = Math.ceil(needs.locked / 1024);
  const drivers = [...new Set(functions.flatMap(({ driver }) => (driver && driver !== 'vfio-pci' ? driver : [])))];
  const files: [string, readonly string[], number?][] = [
    ['/etc/sysusers.d/ezvm.conf', [`g ${group} - -`]],
    [DEVICE_RULES, deviceRules(needs, functions, group)],
    ['/etc/udev/rules.d/60-ezvm-vfio-bind.rules', bindingRules(functions)],
    // So that vfio-pci is there when another driver would take the device, in the initramfs too.
    ['/etc/modprobe.d/ezvm-vfio.conf', drivers.map((driver) => `softdep ${driver} pre: vfio-pci`)],
    [
      '/etc/modprobe.d/ezvm-kvmfr.conf',
      needs.kvmfr.length > 0 ? [`options kvmfr static_size_mb=${needs.kvmfr.join()}`] : [],
    ],
    [
      '/etc/security/limits.d/60-ezvm.conf',
      needs.locked > 0 ? ['soft', 'hard'].map((limit) => `@${group} ${limit} memlock ${kibibytes}`) : [],
    ],
    [
      '/etc/tmpfiles.d/ezvm.conf',
      needs.sharedMemory.filter(isPlainPath).map((path) => `f ${path} 0660 ${user.name} kvm -`),
    ],
    [
      '/etc/modules-load.d/ezvm.conf',
      [
        ...(needs.pci.length > 0 ? ['vfio-pci'] : []),
        ...(needs.taps.length + needs.bridges.length > 0 ? ['tun'] : []),
        ...(needs.vhost ? ['vhost_net'] : []),
        ...(needs.kvmfr.length > 0 ? ['kvmfr'] : []),
      ],
    ],
    ...networkFiles(needs, target),
  ];
  return files
    .filter(([, lines]) => lines.length > 0)
    .map(([path, lines, mode = 0o644]) => ({
      path,
      mode,
      content: `# Made by ezvm setup group.\n${lines.join('\n')}\n`,
    }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/** In tmpfiles.d a blank ends a path and a percent sign begins a variable. */
function isPlainPath(path: string): boolean {
  return /^\/dev\/shm\/[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(path);
}

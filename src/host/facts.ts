import type { QemuVersion } from '../qemu/option.ts';

export type { QapiEntity, QemuSchema } from '../qemu/qapi.ts';

/**
 * All that a plan may depend on beyond the VM's own files: plain JSON, so that it can be printed by `ezvm facts`, kept,
 * and handed back with `--host` to plan for another machine.
 */
export interface HostFacts {
  readonly format: 1;
  /** As QEMU names targets: `x86_64`, `aarch64`. */
  readonly arch: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string; readonly home: string };
  readonly dirs: HostDirs;
  readonly cpus: number;
  /** Of PCs: who made the processor, as it names itself: GenuineIntel, AuthenticAMD. */
  readonly cpuVendor?: string;
  /** Bytes of memory in the machine. */
  readonly memory: number;
  /** Absent where no QEMU is installed. */
  readonly qemu?: QemuFacts;
  /** Usable means that a virtual CPU was really made with it; else `reason` says why not, and `help` how to mend it. */
  readonly kvm: AcceleratorFacts;
  /** Of Macs only: Apple's hypervisor, which runs guests of the host's own architecture. */
  readonly hvf?: AcceleratorFacts;
  /** Absolute paths of the programs ezvm may start, by name; absent when not installed. */
  readonly programs: { readonly [name: string]: string };
  /** In order of preference, as QEMU's interop specification defines it. */
  readonly firmware: readonly FirmwareDescriptor[];
  /** What is at the host paths that a VM names; filled for those paths only. */
  readonly paths: { readonly [path: string]: PathFacts };
  /** Network interfaces that a VM names; filled for those only. */
  readonly links?: { readonly [name: string]: LinkFacts };
  /** Every PCI function, where a VM is handed some. */
  readonly pci?: readonly PciFacts[];
  /** Where a VM names an interface, and the helper is installed. */
  readonly bridgeHelper?: BridgeHelperFacts;
  /** Bytes that programs of this user's may lock in memory, where a VM names PCI functions; absent where there is no limit. */
  readonly lockable?: number;
  /** Where it is installed, for users other than root. */
  readonly helper?: HelperFacts;
  /** Where a VM starts it, and it is installed. */
  readonly virtiofsd?: ProgramFacts;
  /** Where a VM of root's starts it, and it is installed. */
  readonly passt?: ProgramFacts;
  /** The session a window needs; empty strings are left out. */
  readonly session: { readonly [variable: string]: string };
  /** Devices of GPUs that draw without a screen, such as /dev/dri/renderD128; absent where nobody looked. */
  readonly renderNodes?: readonly string[];
  /** What can play sound, best first, as QEMU names its back-ends: `pipewire`, `pa`, `alsa`. */
  readonly sound: readonly string[];
}

/** What a VM makes worth knowing about its host, beyond what is always looked at. */
export interface Questions {
  /** Host paths, each as the VM names it. */
  readonly paths: readonly string[];
  /** Network interfaces. */
  readonly interfaces: readonly string[];
  /** Programs that run beside QEMU. */
  readonly programs: readonly string[];
  /** PCI devices, all of them. */
  readonly pci?: boolean;
  /** What the board is made of, as QEMU names targets; the host's own where nothing is said. */
  readonly arch?: string;
}

/** A network interface as sysfs describes it. */
export interface LinkFacts {
  readonly kind: 'missing' | 'bridge' | 'tap' | 'macvtap' | 'other';
  /** The kernel's number; absent only where it is missing, as is the address. */
  readonly index?: number;
  readonly mac?: string;
  /** Of a tap: this user may open it. */
  readonly usable?: boolean;
  /** Of a tap: made for several queues. */
  readonly queues?: boolean;
  /** Virtual functions of a card, by number; the address where `ip` told it. */
  readonly functions?: readonly { readonly pci: string; readonly mac?: string }[];
}

/** A function of a PCI device. */
export interface PciFacts {
  /** As in `0000:03:00.0`. */
  readonly address: string;
  /** Vendor and device, as in `10de:2684`. */
  readonly id: string;
  /** The number of its IOMMU group; absent where the IOMMU is off. */
  readonly group?: string;
  /** Why it cannot be handed to a VM now: a driver of the host's has it, another VM does, its group is not ready. */
  readonly fault?: string;
  /** A driver of the host's has it, or this user may not open its group: the setuid helper could lend it. */
  readonly closed?: true;
}

/** QEMU's bridge helper: the program that puts an ordinary user's VM on a bridge. */
export interface BridgeHelperFacts {
  readonly path: string;
  /** It has the rights that it needs: setuid root, or a capability. */
  readonly privileged: boolean;
  /** Of /etc/qemu/bridge.conf, in order; the bridge may be `all`. */
  readonly rules: readonly { readonly allow: boolean; readonly bridge: string }[];
  /** Why the rules cannot be had. */
  readonly fault?: string;
}

/** ezvm's own setuid helper: it opens and lends what a policy of root's gives to a user (docs/helper.md). */
export interface HelperFacts {
  readonly path: string;
  /** Why this user gets nothing of it. */
  readonly fault?: { readonly message: string; readonly help: string };
  /** Why it would make no tap on a bridge that a VM names; null where it would. */
  readonly bridges?: { readonly [bridge: string]: string | null };
}

/** A program that is not the same on every host: there are two called virtiofsd, and passt has changed with the years. */
export interface ProgramFacts {
  readonly path: string;
  /** The long options that it knows, such as `--readonly`. */
  readonly options: readonly string[];
  /** Why it does not tell them. */
  readonly fault?: string;
}

/** Whether an accelerator works. */
export interface AcceleratorFacts {
  readonly usable: boolean;
  readonly reason?: string;
  readonly help?: string;
}

/** Where ezvm keeps things: absolute paths, per user, following the XDG base directories. */
export interface HostDirs {
  /** Sockets, locks and the booted plan; gone after a reboot. */
  readonly run: string;
  /** Logs, TPM state, UEFI variables. */
  readonly state: string;
  readonly cache: string;
  readonly config: string;
}

/** What a QEMU is and has, as it tells itself. */
export interface QemuFacts {
  readonly binary: string;
  readonly version: QemuVersion;
  readonly package: string;
  /** What it emulates, as QEMU names targets. */
  readonly arch: string;
  /** Names and aliases of machine types to their canonical name: `q35` to `pc-q35-7.2`. */
  readonly machines: { readonly [name: string]: string };
  /** The most processors that a machine takes, by canonical name. */
  readonly maxCpus?: { readonly [machine: string]: number };
  /** Every QOM type name that can be given to `-device`, without CPUs and without what misses a module. */
  readonly devices: readonly string[];
  /** Every QOM type name that can be given to `-object`. */
  readonly objects: readonly string[];
  readonly cpuModels: readonly string[];
  readonly netdevs: readonly string[];
  readonly audiodevs: readonly string[];
  readonly displays: readonly string[];
  readonly tpmTypes: readonly string[];
  /** `-spice` is known to this build. */
  readonly spice: boolean;
  /** It was built with a sandbox. */
  readonly sandbox: boolean;
}

/** The part of QEMU's docs/interop/firmware.json that a choice needs. */
export interface FirmwareDescriptor {
  /** Path of the descriptor file. */
  readonly file: string;
  readonly interfaces: readonly string[];
  readonly executable: string;
  readonly executableFormat: string;
  /** The template of the variable store; absent for a stateless image. */
  readonly nvramTemplate?: string;
  readonly nvramFormat?: string;
  /** Bytes of each as the guest sees them, where the files can be read. */
  readonly executableSize?: number;
  readonly nvramSize?: number;
  readonly mode: 'split' | 'combined' | 'stateless' | 'memory';
  readonly targets: readonly { readonly architecture: string; readonly machines: readonly string[] }[];
  /** `secure-boot`, `enrolled-keys`, `requires-smm`, … */
  readonly features: readonly string[];
}

/** What is at a path of the host. */
export interface PathFacts {
  readonly kind: 'missing' | 'file' | 'directory' | 'block' | 'character' | 'socket' | 'other' | 'denied';
  /** Bytes, of a file or a block device where it can be read. */
  readonly size?: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** What tells a file or a block device from any other, whichever path or link leads to it. */
  readonly identity?: string;
  /** What the header of a qcow2 image tells: bytes that a guest sees, and the path of the file it is laid over. */
  readonly virtualSize?: number;
  readonly backing?: string;
  /** Which format that file has, where the header says so. */
  readonly backingFormat?: string;
  /** What QEMU opens besides, as qcow2 headers tell: where it, or an image below it, has its data, and what is below that. */
  readonly further?: readonly string[];
  /** What those headers name that is no path, such as `nbd://host` or `json:{…}`: QEMU would open whatever it says. */
  readonly unlisted?: readonly string[];
  /** Of a disk image, read from its first bytes. */
  readonly format?: 'raw' | 'qcow2' | 'vmdk' | 'vdi' | 'vhdx' | 'vpc';
}

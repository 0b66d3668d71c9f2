import type { Origin } from '../core/origin.ts';
import type { QemuOption } from '../qemu/option.ts';

/** How QEMU is started. */
export interface PlannedQemu {
  /** With the paths of the host's block devices, so that the same command line runs by hand. */
  readonly options: readonly QemuOption[];
  /** With descriptors in the place of these paths. */
  readonly argv: readonly string[];
  /** Words before `argv`: a program that takes privileges away and then becomes QEMU. */
  readonly wrapper: readonly string[];
  /** Where the wrapper is the setuid helper. */
  readonly helper?: PlannedHelper;
  /** What is opened for QEMU and handed to it: it may then use that one thing, and open nothing by itself. */
  readonly descriptors: readonly Descriptor[];
  /** Set before the guest runs. */
  readonly passwords: readonly Password[];
  /** Where QEMU is less confined than it could be; empty when its whole sandbox is on. */
  readonly relaxed: readonly Relaxation[];
}

/** Something to open before QEMU starts, and to hand over. */
export interface Descriptor {
  /** Its number in QEMU. */
  readonly fd: number;
  /** Of a tap the bridge that it is put on. */
  readonly path: string;
  readonly type: 'block' | 'character' | 'memory' | 'tap';
  readonly access: 'read' | 'write';
  /** Around the host's cache: QEMU takes it for a disk only if the disk's own `cache.direct` says the same. */
  readonly direct: boolean;
  /** Nothing else on the host may have it open like this: no other VM, and of a block device no file system, swap, LVM or RAID. */
  readonly exclusive: boolean;
  /** QEMU finds it as `/dev/fdset/<fd>`; else an option names the bare number. */
  readonly fdset: boolean;
  /** Of a tap the number of the /dev/vhost-net that moves its packets. */
  readonly vhost?: number;
  /** What opens it in ezvm's place: the setuid helper, for a user who may not, or the step that makes it. */
  readonly opener?: 'helper' | 'step';
  readonly origin?: Origin | undefined;
}

/** The call of the setuid helper that starts QEMU in its own place. */
export interface PlannedHelper {
  readonly program: string;
  /** The name under which it gives back what it took. */
  readonly vm: string;
  readonly grants: readonly HelperGrant[];
  /** Numbers of descriptors that QEMU gets from ezvm. */
  readonly kept: readonly number[];
}

/** One thing that the helper is asked for. */
export interface HelperGrant {
  readonly word: string;
  /** The path, bridge or address in it, or what its sentences call it. */
  readonly what: string;
  readonly kind: 'block' | 'tap' | 'pci' | 'memlock';
  /** The line of its policy that allows this. */
  readonly line: string;
  readonly origin?: Origin | undefined;
}

/** A password that QEMU is told over QMP, so that it stands in no command line. */
export interface Password {
  readonly protocol: 'spice' | 'vnc';
  /** It is the first line of this file. */
  readonly file: string;
  readonly origin?: Origin | undefined;
}

/** A part of QEMU's sandbox that is off, and what cannot work with it. */
export interface Relaxation {
  readonly part: 'all' | 'obsolete' | 'elevateprivileges' | 'spawn' | 'resourcecontrol';
  readonly why: string;
  /** What stands in the way of more than the sandbox: no-new-privileges would keep such a helper from its work. */
  readonly by?: 'setuid-helper';
  /** Capabilities that QEMU keeps for it where it runs as root. */
  readonly capabilities?: readonly string[];
  readonly origin?: Origin | undefined;
}

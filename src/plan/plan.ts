import type { PathKind } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Password, PlannedQemu } from './planned-qemu.ts';

/**
 * Everything a start will do, as plain JSON: no closures, and no text that is taken apart again later.
 * `launch` performs it without deciding anything.
 */
export interface Plan {
  readonly format: 1;
  readonly vm: PlannedVm;
  /** Whom all processes of the VM run as. */
  readonly user: HostFacts['user'];
  readonly qemu: PlannedQemu;
  readonly sidecars: readonly Sidecar[];
  /** What must hold on the host before anything is changed. */
  readonly requirements: readonly Requirement[];
  /** Changes to make before any process starts, in this order. */
  readonly steps: readonly Step[];
  /** What is left to do inside the guest, such as commands that mount folders. */
  readonly guest: readonly string[];
  /** Seconds that an orderly shutdown may take before `stop` gives up. */
  readonly stopTimeout: number;
  readonly notes: readonly Diagnostic[];
}

/** Who the VM is, and where it keeps things. */
export interface PlannedVm {
  readonly name: string;
  readonly uuid: string;
  readonly description?: string;
  /** Absolute path of the VM file. */
  readonly file: string;
  /** `<run>/<name>`: sockets and the booted plan, mode 0700. */
  readonly runDir: string;
  /** `<state>/<name>`: logs, TPM state, UEFI variables, mode 0700. */
  readonly stateDir: string;
  /** Sockets left open for administration. */
  readonly qmpSocket: string;
  readonly monitorSocket: string;
}

/** A file that tells a viewer a password: with `entries` a connection file of remote-viewer's, else one of VNC's. */
export interface Login {
  readonly path: string;
  readonly password: Password;
  readonly entries?: { readonly [key: string]: string };
  /** The certificate of the authority that vouches for the server. */
  readonly ca?: string;
}

/** A file, directory or device that serves one VM at a time. */
export interface Claim {
  readonly path: string;
  readonly origin?: Origin | undefined;
}

/** What it means when a program says certain words before the VM has started. */
export interface Complaint {
  readonly says: string;
  readonly message: string;
  readonly help?: string;
  readonly origin?: Origin | undefined;
}

/** A program that runs beside QEMU. */
export interface Sidecar {
  readonly name: string;
  readonly argv: readonly string[];
  /** Words before `argv`: a program that takes privileges away and then becomes this one. */
  readonly wrapper?: readonly string[];
  /** `before`: QEMU needs it. `after`: it needs QEMU, like a viewer. `asked`: the same, started by `ezvm view` only. */
  readonly when: 'before' | 'after' | 'asked';
  /** What to do where its program is not installed. */
  readonly help?: string;
  /** What shows that it is ready; absent when being alive is all that can be seen. */
  readonly ready?: { readonly socket: string; readonly timeout: number };
  /** For `after`: the socket (path, or host and port) that must answer before it is started. */
  readonly needs?: { readonly socket: string } | { readonly host: string; readonly port: number };
  /** Closing it shuts the VM down. */
  readonly onClose?: 'stop';
  /** Those of root's that it cannot do without. */
  readonly capabilities?: readonly string[];
  /** QEMU connects to it again, so it can be started again while QEMU runs. */
  readonly reconnects?: true;
  /** What no other VM may use while it runs. */
  readonly claims?: readonly Claim[];
  /** What is in lines of its log that are no news. */
  readonly chatter?: readonly string[];
  /** Files from which it learns a password, written anew each time it starts. */
  readonly logins?: readonly Login[];
  /** What words of its own mean that say little to a stranger. */
  readonly complaints?: readonly Complaint[];
  readonly origin?: Origin | undefined;
}

/** Something that must hold on the host before anything is changed. */
export type Requirement =
  /** A program that must be installed; without an `optional` one the VM starts all the same. */
  | {
      readonly kind: 'program';
      readonly program: string;
      readonly path?: string;
      readonly optional?: true;
      readonly help: string;
      readonly origin?: Origin | undefined;
    }
  /** A file or device that must exist and be usable. */
  | {
      readonly kind: 'path';
      readonly path: string;
      readonly access: 'read' | 'write';
      readonly type: PathKind;
      /** Names of files that a directory must have. */
      readonly holds?: readonly string[];
      /** A step makes it where it is missing, so that only its directory must be there. */
      readonly made?: { readonly bytes: number; readonly atOnce: boolean };
      readonly help?: string;
      /** How the helper would open it for this user. */
      readonly helper?: string;
      readonly origin?: Origin | undefined;
    }
  /** An address that must be free to listen on. */
  | {
      readonly kind: 'port';
      readonly host: string;
      readonly port: number;
      readonly protocol: 'tcp' | 'udp';
      readonly origin?: Origin | undefined;
    }
  /** What planning already saw that this host or its QEMU cannot do. */
  | {
      readonly kind: 'unmet';
      readonly code: string;
      readonly message: string;
      readonly help?: string | undefined;
      /** Options that this says enough of, named as `qemu.set` names them. */
      readonly targets?: readonly string[];
      readonly origin?: Origin | undefined;
    }
  /** What of the session of whoever starts it is used: a screen for a window, the message bus, the terminal, a program for SPICE on a socket. */
  | {
      readonly kind: 'session';
      readonly wants: 'screen' | 'bus' | 'terminal' | 'spice-handler';
      /** What wants it. */
      readonly by: string;
      /** Without it the VM starts all the same. */
      readonly optional?: true;
      readonly help?: string;
      readonly origin?: Origin | undefined;
    }
  /** A PCI function (by address) or a mediated device (by its path in /sys) that VFIO must be able to hand over. */
  | {
      readonly kind: 'vfio';
      readonly device: string;
      /** All PCI functions that the VM is handed. */
      readonly together: readonly string[];
      /** How the helper would hand it over. */
      readonly helper?: string;
      readonly origin?: Origin | undefined;
    }
  /** A device of the module kvmfr, and how many bytes of it are wanted. */
  | {
      readonly kind: 'kvmfr';
      readonly path: string;
      readonly bytes: number;
      /** What does without the module. */
      readonly instead: string;
      readonly origin?: Origin | undefined;
    }
  /** Bytes of memory that QEMU must be allowed to lock, and how the helper would raise the limit. */
  | {
      readonly kind: 'locked-memory';
      readonly bytes: number;
      readonly helper?: string;
      readonly origin?: Origin | undefined;
    }
  /** Of several devices the first that VFIO could hand over; the others might have been, function by function. */
  | {
      readonly kind: 'vfio-choice';
      readonly taken: readonly string[];
      readonly others: readonly (readonly string[])[];
      readonly origin?: Origin | undefined;
    }
  /** A file of UEFI variables that should have keys for Secure Boot, where it is there; `made` anew where it is removed. */
  | {
      readonly kind: 'enrolled-keys';
      readonly path: string;
      readonly made: boolean;
      readonly origin?: Origin | undefined;
    }
  /** A directory with the state of a TPM, which should be one of that version, where there is any. */
  | {
      readonly kind: 'tpm-version';
      readonly path: string;
      readonly version: string;
      readonly origin?: Origin | undefined;
    }
  /** Bytes of memory in huge pages of a size, which must be free. */
  | { readonly kind: 'huge-pages'; readonly page: number; readonly bytes: number; readonly origin?: Origin | undefined }
  /** Bytes of memory the guest will use. */
  | { readonly kind: 'memory'; readonly bytes: number; readonly origin?: Origin | undefined };

/** A requirement of one kind. */
export type RequirementOf<Kind extends Requirement['kind']> = Extract<Requirement, { kind: Kind }>;

/** A change to the host before any process starts. */
export type Step =
  | { readonly do: 'mkdir'; readonly path: string; readonly mode: number; readonly keep: boolean }
  /** Made once, then it belongs to the VM: UEFI variables. */
  | { readonly do: 'copy'; readonly from: string; readonly to: string; readonly mode: number }
  | MemoryFile
  | CreateImage
  | RunOnce;

/** Made anew for each run and gone with it: memory that QEMU shares with a program beside it. `size` is in bytes. */
export interface MemoryFile {
  readonly do: 'memory-file';
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly origin?: Origin | undefined;
}

/** Run to its end before anything starts, unless what it makes is there. */
export interface RunOnce {
  readonly do: 'run';
  readonly name: string;
  readonly argv: readonly string[];
  /** Beside that of every program. */
  readonly environment: { readonly [variable: string]: string };
  /** Made for it, and removed with all that is left in it. */
  readonly folder?: string;
  /** What it makes appears at one path and is renamed to the other when it is whole. */
  readonly makes: { readonly from: string; readonly to: string };
  /** How to do without it. */
  readonly help: string;
  readonly origin?: Origin | undefined;
}

/** Made once by `qemu-img`, then it is the user's: a disk that was not there; or made for each run, and gone with it. */
export interface CreateImage {
  readonly do: 'create-image';
  readonly path: string;
  readonly format: string;
  /** Bytes the guest will see; absent for an overlay as large as what it is laid over. */
  readonly size?: number;
  /** As `qemu-img create -o preallocation=`; `off` is a sparse file. */
  readonly preallocation: string;
  /** What an overlay is laid over. */
  readonly backing?: { readonly path: string; readonly format: string };
  /** Only for this run: one that is there is left from another, and of no use. */
  readonly forOneRun?: true;
  /** Of `qemu-img`. */
  readonly program: string;
  readonly origin?: Origin | undefined;
}

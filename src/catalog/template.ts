import type { Origin } from '../core/origin.ts';
import type { SourceDoc } from '../core/source.ts';

/** What a value in a VM file may be; `list` holds items of one other type. */
export const PARAM_TYPES = [
  'string',
  'word',
  'int',
  'bool',
  'size',
  'path',
  'enum',
  'mac',
  'pci',
  'port',
  'uuid',
  'wwn',
  'forward',
  'list',
] as const;
export type ParamType = (typeof PARAM_TYPES)[number];

/** Kinds of network interfaces; any is an `interface`. */
export const LINK_KINDS = ['interface', 'bridge', 'tap', 'macvtap'] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

/** What can be at a path. */
export const PATH_KINDS = ['file', 'secret', 'image', 'tpm-state', 'device', 'directory', 'socket'] as const;
export type PathKind = (typeof PATH_KINDS)[number];

/** What a parameter takes, as CONTRIBUTING.md tells. */
export interface ParamSpec {
  readonly type: ParamType;
  readonly summary?: string;
  readonly required?: boolean;
  /** Another parameter that may be given in the place of this one, which is required. */
  readonly unless?: string;
  /** Written as in a VM file. Without one, the parameter is unset (null). */
  readonly default?: string | number | boolean | null | readonly (string | number | boolean)[];
  /** A value that somebody could really write, for the reference; types that say enough need none. */
  readonly example?: string | number | boolean | readonly (string | number | boolean)[];
  /** Where it is not given, it is made from the VM's uuid and the device's id, so that it never changes. */
  readonly derive?: 'mac' | 'serial';
  /** The values of an `enum`; the item type of a `list`; the words of a `word` that mean something by themselves. */
  readonly of?: readonly string[] | ParamType;
  /** Said when a value is refused: where else it is taken. */
  readonly help?: string;
  /** What people write by mistake, and what to write instead. */
  readonly slips?: Slips;
  /** Of a number, of bytes, or of the length of a text in bytes. */
  readonly min?: number;
  readonly max?: number;
  /** A regular expression that a text matches as a whole; the example shows what is meant. */
  readonly pattern?: string;
  /** Of a size. */
  readonly 'power-of-two'?: true;
  /** Another parameter of numbers, which must not be greater where both are given. */
  readonly 'no-less-than'?: string;
  /** What must be there when the VM starts: of a `path`, or of a `word` that names a network interface of the host. */
  readonly expect?: PathKind | LinkKind;
  /** Names of files that a directory must have. */
  readonly holds?: readonly string[];
  readonly access?: 'read' | 'write';
  /** The QEMU that a value needs: by value, by `on` or `off`, or for what has no end of values by `set`. */
  readonly needs?: { readonly [value: string]: ValueNeeds };
}

/** By regular expressions for a whole word: what to write in its place, where `$&` is the word and `$1` what its first group matched. */
export type Slips = { readonly [word: string]: string };

/** Conditions on parameters and tables, all of which must hold: a value, one of several, or the words `set` and `unset`. */
export type When = { readonly [param: string]: string | number | boolean | readonly (string | number | boolean)[] };

/** A gate: `{ qemu: ">=8.1", board: isa }`; what lacks it is refused, or left out with a warning. */
export interface Needs {
  readonly qemu?: string;
  /** A feature that the machine's `board.has` lists. */
  readonly board?: string;
  readonly otherwise?: 'refuse' | 'omit';
}

/** As `Needs`; `otherwise` may also be a value to take in its place, with a warning, and `omit` unsets the parameter. */
export interface ValueNeeds {
  readonly qemu?: string;
  readonly board?: string;
  readonly otherwise?: string;
}

/** One QEMU option of a device. */
export interface EmitEntry {
  readonly option: string;
  /** A map of properties, a single word, or true for a flag; strings may hold `${…}`. */
  readonly args: unknown;
  readonly when?: When;
  readonly needs?: Needs;
  readonly origin: Origin;
}

/**
 * A table over an enum or bool parameter, or over a table above it. `set` and `unset` stand for what it does not list, and
 * for whether any of several parameters is given. Values may hold `${…}`.
 */
export interface LetTable {
  readonly by: string | readonly string[];
  readonly values: { readonly [value: string]: string | number | boolean | null };
}

/** What to tell when a combination of settings is asked for; the texts may hold `${…}`. */
export interface CombinationEntry {
  readonly when: When;
  /** The parameter to blame. */
  readonly key: string;
  /** Besides, its text has more bytes than this. */
  readonly longer?: number;
  /** Besides, its whole text matches this regular expression. */
  readonly matches?: string;
  readonly message: string;
  readonly help: string;
}

/** Another device that one needs. */
export interface RequireEntry {
  /** `<section>/<type>` */
  readonly device: string;
  /** One for each id; without it there is one, called by its type. */
  readonly id?: string;
  readonly when?: When;
}

/** Something of the host's that no parameter names whole. */
export interface PathEntry {
  readonly path: string;
  readonly expect: PathKind;
  readonly access?: 'read' | 'write';
  readonly help?: string;
}

/** A program that runs beside QEMU. */
export interface SidecarEntry {
  readonly name: string;
  /** `before-qemu`, `after-qemu`, `when-asked` (by `ezvm view`), or `${let}` giving one. */
  readonly start: string;
  /** In order of preference: the first that is installed is taken. */
  readonly programs: readonly ProgramEntry[];
  readonly ready?: { readonly socket: string; readonly timeout?: number };
  /** What must answer before it is started: the socket where that is not empty, else the port. */
  readonly connects?: { readonly socket?: string; readonly host?: string; readonly port?: string };
  readonly when?: When;
  /** `stop`, or `${let}` giving it or null: closing it shuts the VM down. */
  readonly 'on-close'?: string;
  /** Those of root's that it cannot do without, as setpriv names them: `dac_override`. */
  readonly capabilities?: readonly string[];
  /** QEMU connects to it again, so that it can be started again while QEMU runs; or `${…}` giving whether it does. */
  readonly reconnects?: true | string;
  /** What is in lines of its log that are no news, and not its last words. */
  readonly chatter?: readonly string[];
  /** How to mend it where none of its programs can do all that is asked for. */
  readonly unable?: string;
  /** Paths of what no other VM may use while it runs. */
  readonly claims?: readonly string[];
  /** Words of its own, what they mean, and the parameter to blame. */
  readonly complaints?: readonly {
    readonly says: string;
    readonly key: string;
    readonly message: string;
    readonly help?: string;
  }[];
}

/** One program that can be a sidecar; where a word of its argv is null, it cannot. */
export interface ProgramEntry {
  /** A word, or words that are there only `when` its condition holds. */
  readonly argv: readonly (string | { readonly args: readonly string[]; readonly when: When })[];
  readonly when?: When;
  /** Which package has it, where that is called differently. */
  readonly package?: string;
}

/** What one file under `templates/devices` or `templates/machines` says, with the parts it includes. */
export interface DeviceTemplate {
  readonly type: string;
  readonly file: string;
  readonly summary: string;
  readonly params: { readonly [name: string]: ParamSpec };
  readonly paramOrigins: { readonly [name: string]: Origin };
  readonly lets: { readonly [name: string]: LetTable };
  readonly requires: readonly RequireEntry[];
  /** Combinations that QEMU refuses. */
  readonly refuse: readonly CombinationEntry[];
  /** Settings that would do nothing beside others; they are refused as well. */
  readonly useless: readonly CombinationEntry[];
  /** Combinations to warn of. */
  readonly warn: readonly CombinationEntry[];
  readonly paths: readonly PathEntry[];
  /** A slot kind of the machine's address table, or `${let}` giving one. */
  readonly slot?: string;
  readonly emit: readonly EmitEntry[];
  readonly sidecars: readonly SidecarEntry[];
  /** Directories made before anything starts. */
  readonly folders: readonly string[];
  /** What is left to do inside the guest, such as a command that mounts a folder. */
  readonly guest: readonly (string | { readonly text: string; readonly when: When })[];
  /** Another program works in the guest's memory, which has to be shared for it: `${vm.shared-memory}` is on then. */
  readonly 'shared-memory'?: true;
  readonly resolver?: string;
  readonly needs?: Needs;
  /** These three of machines only. */
  readonly board?: BoardSpec;
  readonly slots?: { readonly [kind: string]: SlotTable };
  /** What makes a bus that the board itself has not got: the properties of one `-device` or more, there with the first device on it. */
  readonly buses?: { readonly [bus: string]: readonly BusMaker[] };
}

/** What a machine is to QEMU, and what it has for devices to build on. */
export interface BoardSpec {
  /** QEMU's short name, which stands for the newest version of it. */
  readonly name: string;
  /** What the names of its versions begin with, such as `pc-q35` of pc-q35-9.2; absent where it has none. */
  readonly family?: string;
  /** As QEMU names targets. */
  readonly arch: string;
  /** Named by `needs: { board: isa }` and `when: { board.isa: on }`. */
  readonly has: readonly string[];
}

/** Properties of a device that is itself on a bus, at a place of its own. */
export interface BusMaker {
  readonly driver: string;
  readonly bus: string;
  readonly addr: string;
  readonly [property: string]: string | number | boolean;
}

/** Where devices of one kind sit; the index of `at` is the device's own number. */
export interface SlotTable {
  /** Of the places that name none. */
  readonly bus?: string;
  /**
   * `slot` or `slot.function` in hexadecimal, as QEMU's `addr`; or plain numbers for buses that are not PCI. `pci.1/1b` names the
   * bus as well.
   */
  readonly at: readonly string[];
  /** Each device gets a root port at the address, and sits on it at 0. */
  readonly 'root-port'?: boolean;
}

/** One section of the configuration language, from `templates/sections.yaml`. */
export interface SectionSpec {
  readonly name: string;
  readonly summary: string;
  /** The parameter that a bare value stands for. */
  readonly short: string;
  /** The device template used when no `type` is given. */
  readonly default: string;
  /** The stem of item ids; absent for sections that hold one device. */
  readonly plural?: string;
  /** Where its templates lie under `templates/`. */
  readonly folder: string;
  /** Never written by users: filled by `requires`. */
  readonly internal?: boolean;
  /** What people call it elsewhere. */
  readonly also?: readonly string[];
  /** Words that are no type or key of it, and what to write instead. */
  readonly slips?: Slips;
}

/** Where template files come from; `input` provides one, tests provide others. */
export interface TemplateSource {
  /** @param path below `templates/`, such as `os/linux.yaml` */
  read(path: string): SourceDoc | undefined;
  /** The device template in such a file, where it was made out of it beforehand. */
  device?(path: string): DeviceTemplate | undefined;
  /** Names of the templates in a folder below `templates/`, without `.yaml`, sorted. */
  list(folder: string): readonly string[];
  /** Every folder that holds templates, as `list` takes it, sorted. */
  folders(): readonly string[];
}

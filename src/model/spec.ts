import type { ParamValue } from '../catalog/params.ts';
import type { DeviceTemplate } from '../catalog/template.ts';
import type { Origin } from '../core/origin.ts';
import type { QemuValue } from '../qemu/option.ts';

/** A VM after validation: every value checked, every default filled in, every path absolute. */
export interface VmSpec {
  readonly name: string;
  readonly uuid: string;
  readonly description?: string;
  /** Absolute path of the VM file. */
  readonly file: string;
  /** In the order of the sections, then of the items. */
  readonly devices: readonly DeviceSpec[];
  readonly qemu: QemuOverrides;
  readonly stopTimeout: number;
  /** What the OS asks for at least; less is a warning. */
  readonly minimum: { readonly memory?: number; readonly cores?: number; readonly label: string };
}

/** One device that the layers ask for. */
export interface DeviceSpec {
  readonly section: string;
  /** `disk0`; the section's name where it holds one device. */
  readonly id: string;
  readonly template: DeviceTemplate;
  readonly params: { readonly [name: string]: SpecValue };
  /** The number that picks an address; from the id, or given as `slot`. */
  readonly index: number | undefined;
  readonly origin: Origin | undefined;
  /** Where its type was chosen; absent where none was written, and the section's own stands. */
  readonly typeOrigin?: Origin;
}

/** A checked value and where it came from; `overrides` are the places of the weaker values it replaced. */
export interface SpecValue {
  readonly value: ParamValue;
  readonly origin: Origin | undefined;
  readonly overrides: readonly Origin[];
}

/** Properties to set; null removes one, and a map reaches into the map that is there. */
export type PropsPatch = { readonly [key: string]: QemuValue | PropsPatch | null };

/** The two escape hatches. */
export interface QemuOverrides {
  /** By option and id, as in `device:net0`: properties to set, or null to remove. */
  readonly set: readonly {
    readonly target: string;
    readonly props: PropsPatch;
    readonly origin: Origin | undefined;
  }[];
  /** Appended to the command line as they are. */
  readonly args: readonly { readonly word: string; readonly origin: Origin }[];
}

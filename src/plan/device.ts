import type { BoardSpec } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { HostFacts } from '../host/facts.ts';
import type { DeviceSpec, VmSpec } from '../model/spec.ts';
import type { QemuOption, QemuValue, QemuVersion } from '../qemu/option.ts';
import type { WantedDescriptor } from './descriptors.ts';
import type { Login, Requirement, Step } from './plan.ts';

/** Where a device sits; `addr` is QEMU's `addr` on PCI, a plain number elsewhere. */
export interface SlotAddress {
  readonly bus: string;
  readonly addr: string;
}

/** A device on its way to becoming options. */
export interface PlannedDevice extends DeviceSpec {
  /** Absent until addresses are given, and of what takes no place. */
  readonly slot?: SlotAddress;
}

/** What every part of planning may look at. */
export interface PlanContext {
  readonly spec: VmSpec;
  readonly facts: HostFacts;
  /** Of the QEMU at hand, or the one assumed where none is installed. */
  readonly version: QemuVersion;
  readonly accel: 'kvm' | 'hvf' | 'tcg';
  /** Absent where a VM leaves the choice to QEMU; then it is taken to have everything. */
  readonly board: BoardSpec | undefined;
  /** The file of what every VM has unless something else is said. */
  readonly defaultsFile: string | undefined;
  /** `<run>/<name>` and `<state>/<name>`. */
  readonly runDir: string;
  readonly stateDir: string;
  /** Every device of the VM, once addresses are given. */
  readonly devices: readonly PlannedDevice[];
  readonly note: (diagnostic: Diagnostic) => void;
  readonly require: (requirement: Requirement) => void;
  /** A requirement of a newer QEMU; nothing else that this one lacks of the device is told then. */
  readonly requireNewer: (id: string, message: string, origin: Origin | undefined) => void;
  readonly step: (step: Step) => void;
  /** Has something opened and handed to QEMU, and gives its number there. */
  readonly open: (wanted: WantedDescriptor) => number;
  /** A fault of the configuration that shows only here, such as two settings that QEMU does not take together. */
  readonly refuse: (fault: Omit<Diagnostic, 'severity'>) => void;
}

/** What code contributes to a device whose values cannot be written down as data. */
export interface Resolved {
  /** Named by templates as `${resolved.x}`; null drops the property. */
  readonly values?: { readonly [name: string]: QemuValue | null };
  /** Options beyond those the template emits. */
  readonly options?: readonly QemuOption[];
  /** Written for each sidecar whose command line names them. */
  readonly logins?: readonly Login[];
}

/** Pure; what it needs done on the host it hands to `context.require` and `context.step`. */
export type Resolver = (device: PlannedDevice, context: PlanContext) => Resolved;

/** The value of a parameter, typed by what the template promises. */
export function param<T>(device: PlannedDevice, name: string): T | null {
  return (device.params[name]?.value ?? null) as T | null;
}

/** Whether somebody said a parameter's value; else its type's own default stands. */
export function isSaid({ params, template }: DeviceSpec, name: string): boolean {
  const said = params[name]?.origin;
  return said !== undefined && said !== template.paramOrigins[name];
}

/** What to blame for a parameter's value: the place where somebody said it; where nobody did, that of the device. */
export function saidAt(device: DeviceSpec, name: string): Origin | undefined {
  return isSaid(device, name) ? device.params[name]?.origin : device.origin;
}

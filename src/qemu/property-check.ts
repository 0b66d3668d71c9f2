import type { QemuProps, QemuValue } from './option.ts';
import type { QemuSchema } from './qapi.ts';
import { type Fault, type Spelling, suggest } from './qapi-check.ts';
import { isWideInteger } from './render.ts';

/** A fault of an option; `help` says how to mend it. */
export interface OptionFault extends Omit<Fault, 'code'> {
  readonly code: string;
  readonly help?: string;
}

/** What was found, and about what: `-netdev user`, or the name of a device. */
export interface Checked {
  readonly subject: string;
  readonly faults: readonly OptionFault[];
}

/** What -device takes of any device, before its properties. */
const EVERY_DEVICE = ['driver', 'id', 'bus'];

/** QEMU's second names of devices, which no list of types has. */
const DEVICE_ALIASES: Readonly<Record<string, string>> = {
  ac97: 'AC97',
  ahci: 'ich9-ahci',
  'e1000-82540em': 'e1000',
  es1370: 'ES1370',
  lsi: 'lsi53c895a',
  ...Object.fromEntries(
    '9p balloon blk gpu gpu-gl input-host iommu keyboard mouse net rng scsi serial tablet'
      .split(' ')
      .map((name) => [`virtio-${name}`, `virtio-${name}-pci`]),
  ),
};

/** Devices in modules that distributions pack apart. */
const IN_A_MODULE = /^qxl|^virtio-.*-gl(-pci)?$|^usb-redir$|^ccid-card/;

/** Machine properties that exist on a created machine only, or that -machine handles itself. */
const MACHINE_EXTRAS = [
  'accel',
  'cxl',
  'hmat',
  'kernel-irqchip',
  'kvm-shadow-mem',
  'nvdimm',
  'nvdimm-persistence',
  'pcspk-audiodev',
  'pflash0',
  'pflash1',
  'type',
];

/** CPU flags that QEMU rewrites before it looks for a property. */
const CPU_EXTRAS = ['model', 'tsc-freq'];

/** QEMU lists no property that begins so. */
const UNLISTED = /^legacy-/;

/** Checks a device's driver, the names of its properties and, where they are JSON, the types of their values. */
export function checkDevice(args: QemuProps, written: Spelling, schema: QemuSchema, binary: string): Checked {
  const { driver } = args;
  if (typeof driver !== 'string')
    return { subject: '-device', faults: [{ code: 'qemu-member-missing', says: 'needs "driver"' }] };
  const type = DEVICE_ALIASES[driver] ?? driver;
  const known = schema.properties[type];
  if (!schema.devices.includes(type) && !known) return { subject: '', faults: [unknownDevice(driver, schema, binary)] };
  if (!known) return { subject: driver, faults: [] };
  const faults = Object.entries(args).flatMap(([name, value]): OptionFault[] => {
    // `len-x` makes properties `x[0]`, `x[1]`…
    if (EVERY_DEVICE.includes(name) || UNLISTED.test(name) || name.includes('[')) return [];
    const propertyType = known[name];
    if (propertyType === undefined)
      return [unknownProperty(name, Object.keys(known), `${binary} -device ${driver},help`)];
    const wanted = written === 'json' ? wantedOf(name, propertyType, value) : undefined;
    if (wanted === undefined) return [];
    return [{ code: 'qemu-property-type', says: `wants ${wanted} for ${name}, not ${JSON.stringify(value)}` }];
  });
  return { subject: driver, faults };
}

/** Checks that the device which -global is about has the property; one it does not know may be a base type. */
export function checkGlobal(args: QemuProps, schema: QemuSchema, binary: string): Checked {
  const { driver, property } = args;
  const known = typeof driver === 'string' ? schema.properties[driver] : undefined;
  if (!known || typeof property !== 'string' || property in known || UNLISTED.test(property))
    return { subject: '-global', faults: [] };
  return {
    subject: String(driver),
    faults: [unknownProperty(property, Object.keys(known), `${binary} -device ${driver},help`)],
  };
}

/** Checks the names of the properties of PC machines, which are all alike in this. */
export function checkMachine(args: QemuProps, schema: QemuSchema, binary: string): Checked {
  const lists = Object.entries(schema.properties).filter(([type]) => /^(generic-)?pc\b.*-machine$/.test(type));
  const { type } = args;
  if (typeof type !== 'string' || !/^(q35|pc)\b/.test(type) || lists.length === 0)
    return { subject: '-machine', faults: [] };
  const known = new Set([
    ...lists.flatMap(([, list]) => Object.keys(list)),
    ...(schema.options['machine'] ?? []),
    ...MACHINE_EXTRAS,
  ]);
  const unknown = Object.keys(args).filter((name) => !known.has((name.split('.')[0] ?? '').replaceAll('_', '-')));
  return {
    subject: `machine ${type}`,
    faults: unknown.map((name) => unknownProperty(name, [...known], `${binary} -machine ${type},help`)),
  };
}

/** Checks the names of CPU flags. */
export function checkCpu(args: QemuProps, schema: QemuSchema, binary: string): Checked {
  const list = Object.entries(schema.properties).find(([type]) => /^max-.*-cpu$/.test(type))?.[1];
  if (!list) return { subject: '-cpu', faults: [] };
  const known = [...Object.keys(list), ...CPU_EXTRAS];
  const unknown = Object.keys(args).filter((name) => {
    const plain = name.replaceAll('_', '-');
    return !known.includes(plain) && !known.includes(name) && !UNLISTED.test(plain);
  });
  return {
    subject: '-cpu',
    faults: unknown.map((name) => ({
      code: 'qemu-property-unknown',
      says: `has no flag "${name}"${suggest(name, known)}`,
      help: `list them with: ${binary} -cpu help`,
    })),
  };
}

/** What a property wants where it does not take `value`; undefined where it may take it. As tried on 7.2 with JSON. */
function wantedOf(name: string, type: string, value: QemuValue): string | undefined {
  // A slot is a number, or text such as 1f.2; its type says one or the other, depending on QEMU's version.
  if (name === 'addr') return typeof value === 'boolean' ? 'a slot, such as "1f.2"' : undefined;
  if (type === 'bool') return typeof value === 'boolean' ? undefined : 'true or false';
  if (/^(u?int\d+|size\d*)(_t)?$/.test(type))
    return Number.isInteger(value) || isWideInteger(value) ? undefined : 'a whole number';
  if (type === 'OnOffAuto')
    return ['on', 'off', 'auto'].includes(value as string) ? undefined : '"on", "off" or "auto"';
  if (/^(str|string|link<|[A-Z])/.test(type))
    return typeof value === 'boolean' || typeof value === 'number' ? 'a string' : undefined;
  return undefined;
}

function unknownDevice(driver: string, schema: QemuSchema, binary: string): OptionFault {
  return {
    code: 'qemu-driver-unknown',
    says: `has no device "${driver}"${suggest(driver, schema.devices)}`,
    help: IN_A_MODULE.test(driver)
      ? 'it comes with a module of QEMU; look in your distribution for a package such as qemu-system-gui or qemu-system-modules-opengl'
      : `list them with: ${binary} -device help`,
  };
}

/** @param list the command that lists the known ones */
function unknownProperty(name: string, known: readonly string[], list: string): OptionFault {
  return {
    code: 'qemu-property-unknown',
    says: `has no property "${name}"${suggest(name, known)}`,
    help: `list them with: ${list}`,
  };
}

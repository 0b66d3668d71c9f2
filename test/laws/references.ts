import type { QemuOption, QemuProps } from '../../src/qemu/option.ts';
import { DEVICES } from '../one-device.ts';

/** Which property names which kind of thing by its id. */
const POINTERS: {
  readonly [property: string]: 'node' | 'chardev' | 'fsdev' | 'netdev' | 'object' | 'tpmdev' | 'audiodev';
} = {
  drive: 'node',
  pflash0: 'node',
  pflash1: 'node',
  chardev: 'chardev',
  netdev: 'netdev',
  memdev: 'object',
  'memory-backend': 'object',
  fsdev: 'fsdev',
  iothread: 'object',
  rng: 'object',
  tpmdev: 'tpmdev',
  audiodev: 'audiodev',
  'throttle-group': 'object',
  'password-secret': 'object',
  'tls-creds': 'object',
  // The node that a filter is before; a file's own node has no name.
  'blockdev.file': 'node',
};

/** Options that make something for others to name. */
const MAKERS: { readonly [option: string]: string } = {
  blockdev: 'node',
  chardev: 'chardev',
  fsdev: 'fsdev',
  netdev: 'netdev',
  object: 'object',
  tpmdev: 'tpmdev',
  audiodev: 'audiodev',
};

/** What the boards have by themselves: the bus, and ports for disks (pc has two of those, q35 six). */
const BOARD = /^(pcie?\.0|ide\.[0-5]|floppy-bus\.0)$/;
/** What hangs on a bus in plain sight of the board: what a template says that only some boards have, and these. */
const ON_BOARD = new Set([
  ...DEVICES.flatMap(({ template: { emit, needs, slot } }) =>
    needs?.board === undefined || slot !== undefined ? [] : emit.map(({ args }) => (args as QemuProps)['driver']),
  ),
  ...['isa-fdc', 'isa-serial', 'ramfb', 'tpm-crb', 'tpm-tis', 'vmcoreinfo'],
]);

/** Whatever in a command line names something that the command line does not have, or has what nothing names. */
export function brokenReferences(options: readonly QemuOption[]): string[] {
  const made = new Set<string>();
  const buses = new Set<string>();
  const named = new Set<string>();
  const broken: string[] = [];
  const maps = options.filter((option): option is QemuOption & { args: QemuProps } => typeof option.args === 'object');
  for (const { name, args } of maps) {
    // Nothing names a keyboard of the host: it is there for the whole guest.
    if (MAKERS[name] && args['qom-type'] !== 'input-linux')
      made.add(`${MAKERS[name]} ${args['node-name'] ?? args['id']}`);
    if (name === 'device' && args['id'] !== undefined) buses.add(String(args['id'])).add(`${args['id']}.0`);
  }
  // -qmp and -monitor name theirs in a word.
  for (const { name, args } of options)
    if (typeof args === 'string' && args.startsWith('chardev:')) {
      const wanted = args.replace(':', ' ');
      named.add(wanted);
      if (!made.has(wanted)) broken.push(`-${name} ${args}: there is no such chardev`);
    }
  for (const { name, args } of maps) {
    for (const [pointer, kind] of Object.entries(POINTERS)) {
      const [property = '', option = name] = pointer.split('.').toReversed();
      const value = args[property];
      if (value === undefined || option !== name || typeof value === 'object') continue;
      const wanted = `${kind} ${value}`;
      named.add(wanted);
      if (!made.has(wanted)) broken.push(`-${name} ${property}=${value}: there is no such ${kind}`);
    }
    if (name !== 'device') continue;
    const bus = args['bus'];
    if (bus === undefined ? !ON_BOARD.has(args['driver']) : !BOARD.test(String(bus)) && !buses.has(String(bus)))
      broken.push(
        `-device ${args['driver']} id=${args['id']}: ${bus === undefined ? 'it names no bus, and needs no board that has one' : `bus ${bus} is not there`}`,
      );
  }
  for (const thing of made) if (!named.has(thing)) broken.push(`nothing uses the ${thing}`);
  return broken;
}

/** Devices that sit at one and the same place. */
export function sharedPlaces(options: readonly QemuOption[]): string[] {
  const taken = new Map<string, string>();
  const shared: string[] = [];
  for (const { name, args } of options) {
    if (name !== 'device' || typeof args !== 'object' || args['bus'] === undefined) continue;
    const place = placeOf(args);
    const other = taken.get(place);
    if (other !== undefined) shared.push(`${args['id']} and ${other} at ${place}`);
    taken.set(place, String(args['id']));
  }
  return shared;
}

function placeOf(args: QemuProps): string {
  const { bus, addr, port, nr, cad, unit, 'scsi-id': target, lun } = args as { [key: string]: unknown };
  const at =
    addr === undefined
      ? (target ?? nr ?? cad ?? unit ?? (args['driver'] === 'pcie-root-port' ? undefined : port))
      : address(String(addr));
  return [bus, at, lun].filter((part) => part !== undefined).join(' ');
}

/** `7` is function 0 of slot 7. */
function address(text: string): string {
  const [slot = '', fn = '0'] = text.split('.');
  return `${Number.parseInt(slot, 16).toString(16)}.${fn}`;
}

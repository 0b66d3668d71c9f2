import type { BusMaker, DeviceTemplate, SlotTable } from '../catalog/template.ts';
import type { QemuOption, QemuProps } from '../qemu/option.ts';
import type { PlanContext, PlannedDevice, SlotAddress } from './device.ts';
import { namesOf } from './expand.ts';

/** A fault in the numbers that devices ask for. */
type Refuse = (device: PlannedDevice, message: string, help: string) => void;

/** A place on a bus, as the machine's table says it. */
interface Place {
  readonly bus: string;
  readonly addr: string;
}

/**
 * Gives every device that asks for a slot its place from the machine's table: a function of the device's kind and number
 * alone, so that adding one device never moves another.
 * @returns the devices with their addresses, and the bridges, ports and controllers that some of them sit on
 */
export function assignAddresses(
  devices: readonly PlannedDevice[],
  machine: DeviceTemplate | undefined,
  context: PlanContext,
  refuse: Refuse,
): { devices: PlannedDevice[]; bridges: QemuOption[] } {
  if (!machine) {
    const [first] = devices.filter((device) => slotKind(device, context) !== null);
    if (first) refuse(first, 'there is no board for it to sit on', 'leave out `machine: none`');
    return { devices: [...devices], bridges: [] };
  }
  const { slots = {}, buses = {} } = machine;
  const taken = new Map<string, PlannedDevice>();
  const ports = new Map<string, PlannedDevice>();
  const made = new Map<string, PlannedDevice>();
  const placed = devices.map((device) => {
    // What the board is no place for at all is told when the device is made.
    const kind = lacksBoard(device, context) ? null : slotKind(device, context);
    const place = kind === null ? undefined : placeOf(device, kind, slots[kind], refuse);
    if (kind === null || !place) return device;
    const key = `${place.bus} ${place.addr}`;
    const other = taken.get(key);
    if (other) {
      refuse(device, `it asks for the place that ${other.id} has`, 'give one of the two another `slot:`');
      return device;
    }
    taken.set(key, device);
    if (slots[kind]?.['root-port']) ports.set(key, device);
    for (const bus of busesTo(place.bus, buses)) if (!made.has(bus)) made.set(bus, device);
    const slot: SlotAddress = slots[kind]?.['root-port'] ? { bus: portId(place.addr), addr: '0' } : place;
    return { ...device, slot };
  });
  for (const [bus, device] of made)
    for (const maker of buses[bus] ?? []) {
      const other = taken.get(`${maker.bus} ${maker.addr}`);
      if (other)
        refuse(device, `it needs the bus ${bus}, in whose place ${other.id} is`, 'give it another `slot:` or `bus:`');
    }
  return { devices: placed, bridges: [...rootPorts(ports), ...busMakers(made, buses)] };
}

function placeOf(device: PlannedDevice, kind: string, table: SlotTable | undefined, refuse: Refuse): Place | undefined {
  if (!table) {
    refuse(device, `this machine has no place of the kind ${kind}`, 'choose another type or another machine');
    return undefined;
  }
  if (device.index === undefined) {
    refuse(
      device,
      `the id ${device.id} does not say which place it takes`,
      'end the id in a number as in net0, or add `slot: 0`',
    );
    return undefined;
  }
  const at = table.at[device.index];
  if (at === undefined) {
    refuse(
      device,
      `there ${table.at.length === 1 ? 'is one place' : `are ${table.at.length} places`} of the kind ${kind}, and this asks for number ${device.index}`,
      table.at.length === 1 ? 'leave out one of the two' : `give it a free \`slot:\` from 0 to ${table.at.length - 1}`,
    );
    return undefined;
  }
  const [first = '', second] = at.split('/');
  return second === undefined ? { bus: table.bus ?? '', addr: first } : { bus: first, addr: second };
}

function lacksBoard({ template }: PlannedDevice, { board }: PlanContext): boolean {
  const wanted = template.needs?.board;
  return wanted !== undefined && board !== undefined && !board.has.includes(wanted);
}

function slotKind(device: PlannedDevice, context: PlanContext): string | null {
  const { slot } = device.template;
  const reference = /^\$\{(.+)\}$/.exec(slot ?? '');
  if (!reference) return slot ?? null;
  return (namesOf(device, {}, context)[reference[1] ?? ''] as string | null | undefined) ?? null;
}

type Buses = { readonly [bus: string]: readonly BusMaker[] };

/**
 * The buses that have to be made for one to be there, itself last. A guest finds functions 1 to 7 of a slot only where
 * function 0 is there too, so what makes that one comes along.
 */
function busesTo(bus: string, buses: Buses): string[] {
  const makers = buses[bus];
  if (!makers) return [];
  const firsts = makers.flatMap(({ bus: parent, addr }) => {
    const first = addr.replace(/\.[1-7]$/, '.0');
    const has = (one: BusMaker): boolean => one.bus === parent && one.addr === first;
    return first === addr || makers.some(has)
      ? []
      : Object.keys(buses).filter((other) => buses[other]?.some(has) === true);
  });
  return [...makers.flatMap(({ bus: parent }) => busesTo(parent, buses)), ...firsts, bus];
}

function busMakers(made: ReadonlyMap<string, PlannedDevice>, buses: Buses): QemuOption[] {
  // In the order of the machine's list, whichever device asked first.
  return Object.entries(buses).flatMap(([bus, makers]) => {
    const device = made.get(bus);
    return device ? makers.map((args) => ({ name: 'device', args: args as QemuProps, origin: device.origin })) : [];
  });
}

/** `10.2` is function 2 of slot 0x10. */
function portId(at: string): string {
  return `rp-${at}`;
}

/** As with buses, the port at function 0 comes along. */
function rootPorts(used: ReadonlyMap<string, PlannedDevice>): QemuOption[] {
  const wanted = new Map([...used].map(([key, device]) => [key.replace(/\.\d$/, '.0'), device]));
  for (const [key, device] of used) wanted.set(key, device);
  return [...wanted]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { origin }]) => {
      const [bus = '', at = ''] = key.split(' ');
      const [slot = '', fn = '0'] = at.split('.');
      const number = Number.parseInt(slot, 16) * 8 + Number(fn);
      return {
        name: 'device',
        args: {
          driver: 'pcie-root-port',
          id: portId(at),
          bus,
          addr: at,
          multifunction: true,
          port: number,
          chassis: number,
        },
        origin,
      };
    });
}

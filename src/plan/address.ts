import type { SlotTable } from '../catalog/template.ts';
import type { QemuOption } from '../qemu/option.ts';
import type { PlanContext, PlannedDevice, SlotAddress } from './device.ts';
import { namesOf } from './expand.ts';

/** A fault in the numbers that devices ask for. */
type Refuse = (device: PlannedDevice, message: string, help: string) => void;

/**
 * Gives every device that asks for a slot its place from the machine's table: a function of the device's kind and number
 * alone, so that adding one device never moves another.
 * @returns the devices with their addresses, and the root ports that some of them sit on
 */
export function assignAddresses(
  devices: readonly PlannedDevice[],
  slots: { readonly [kind: string]: SlotTable },
  context: PlanContext,
  refuse: Refuse,
): { devices: PlannedDevice[]; rootPorts: QemuOption[] } {
  const taken = new Map<string, PlannedDevice>();
  const ports = new Map<string, PlannedDevice>();
  const placed = devices.map((device) => {
    const kind = slotKind(device, context);
    const table = kind === null ? undefined : slots[kind];
    if (kind === null) return device;
    if (!table) {
      refuse(device, `this machine has no place for a ${kind}`, 'choose another type or another machine');
      return device;
    }
    if (device.index === undefined) {
      refuse(
        device,
        `the id ${device.id} does not say which place it takes`,
        'end the id in a number as in net0, or add `slot: 0`',
      );
      return device;
    }
    const at = table.at[device.index];
    if (at === undefined) {
      refuse(
        device,
        `there are ${table.at.length} places for a ${kind}, and this asks for number ${device.index}`,
        `give it a free \`slot:\` from 0 to ${table.at.length - 1}`,
      );
      return device;
    }
    const key = `${table.bus} ${at}`;
    const other = taken.get(key);
    if (other) {
      refuse(device, `it asks for the place that ${other.id} has`, 'give one of the two another `slot:`');
      return device;
    }
    taken.set(key, device);
    if (table['root-port']) ports.set(key, device);
    const slot: SlotAddress = table['root-port'] ? { bus: portId(at), addr: '0' } : { bus: table.bus, addr: at };
    return { ...device, slot };
  });
  return { devices: placed, rootPorts: rootPorts(ports) };
}

function slotKind(device: PlannedDevice, context: PlanContext): string | null {
  const { slot } = device.template;
  const reference = /^\$\{(.+)\}$/.exec(slot ?? '');
  if (!reference) return slot ?? null;
  return (namesOf(device, {}, context)[reference[1] ?? ''] as string | null | undefined) ?? null;
}

/** `10.2` is function 2 of slot 0x10. */
function portId(at: string): string {
  return `rp-${at}`;
}

/** A guest finds functions 1 to 7 of a slot only where function 0 is there too. */
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

import type { Catalog } from '../catalog/catalog.ts';
import { stableMac, stableSerial } from '../core/hash.ts';
import { defaultOf } from '../model/devices.ts';
import type { DeviceSpec, SpecValue } from '../model/spec.ts';
import type { PlanContext, PlannedDevice } from './device.ts';
import { holds, namesOf, substituteText } from './expand.ts';
import { gateParams } from './version-gate.ts';

/**
 * The VM's devices with what they require, each required device once, in the order of the sections.
 * A section that holds one device satisfies every requirement on it, whatever its type.
 */
export function gatherDevices(catalog: Catalog, context: PlanContext): PlannedDevice[] {
  const devices: PlannedDevice[] = context.spec.devices.map((device) => settleParams(device, context));
  // The list grows while it is walked: what is required may require more.
  for (const device of devices) {
    const names = namesOf(device, {}, context);
    for (const { device: wanted, id: named, when } of device.template.requires) {
      if (!holds(when, names)) continue;
      const [sectionName = '', type = ''] = wanted.split('/');
      const section = catalog.section(sectionName);
      const template = section && catalog.device(section, type);
      if (!section || !template) throw new Error(`${device.template.file}: there is no device ${wanted}`);
      const own = named === undefined ? type : String(substituteText(named, names, device));
      const id = section.internal ? own : section.name;
      if (devices.some((other) => other.section === section.name && other.id === id)) continue;
      const params = Object.fromEntries(
        Object.entries(template.params).map(([name, spec]) => [name, defaultOf(template, name, spec)]),
      );
      const index = Number(/\d+$/.exec(id)?.[0] ?? 0);
      const made = { section: section.name, id, template, params, index, origin: device.origin };
      devices.push(settleParams(made, context));
    }
  }
  const order = new Map(catalog.sections.map((section, index) => [section.name, index]));
  return devices.toSorted((a, b) => (order.get(a.section) ?? 0) - (order.get(b.section) ?? 0));
}

/** A device with the values it really gets. */
function settleParams(device: DeviceSpec, context: PlanContext): PlannedDevice {
  const gated = { ...device, params: gateParams(device, context) };
  return { ...gated, params: deriveParams(gated, context) };
}

/** Fills in the identifiers that a template says are made from the VM's uuid and the device's id. */
function deriveParams(device: DeviceSpec, { spec }: PlanContext): PlannedDevice['params'] {
  const seed = `${spec.uuid}:${device.id}`;
  return Object.fromEntries(
    Object.entries(device.params).map(([name, given]): [string, SpecValue] => {
      const derive = device.template.params[name]?.derive;
      if (derive === undefined || given.value !== null) return [name, given];
      return [name, { ...given, value: derive === 'mac' ? stableMac(seed) : stableSerial(seed) }];
    }),
  );
}

import type { Diagnostic } from '../core/diagnostic.ts';
import { formatOrigin, type Origin } from '../core/origin.ts';
import type { PlannedDevice } from './device.ts';

/** Parameters that a guest tells the devices of a section apart by. */
const IDENTIFIERS = [
  { section: 'network', name: 'mac', what: 'two network cards have the address' },
  { section: 'disks', name: 'serial', what: 'two disks have the serial number' },
  { section: 'disks', name: 'wwn', what: 'two disks have the World Wide Name' },
] as const;

/** Devices that the guest could not tell apart. */
export function findSameIdentifiers(devices: readonly PlannedDevice[], report: (diagnostic: Diagnostic) => void): void {
  for (const { section, name, what } of IDENTIFIERS) {
    const owners = new Map<string, Origin | undefined>();
    for (const device of devices) {
      const value = device.section === section ? (device.params[name]?.value ?? null) : null;
      if (value === null) continue;
      const text = typeof value === 'object' && 'u64' in value ? value.u64 : String(value);
      if (owners.has(text)) report(twice(`${name}-twice`, `${what} ${text}`, device.origin, owners.get(text)));
      owners.set(text, device.origin);
    }
  }
}

/** What is to be had once and wanted twice, with both places. */
export function twice(
  code: string,
  message: string,
  origin: Origin | undefined,
  other: Origin | undefined,
): Diagnostic {
  const elsewhere = other && origin && formatOrigin(other) !== formatOrigin(origin);
  return {
    severity: 'error',
    code,
    message,
    origin,
    help: `change one of the two${elsewhere ? `; the other is at ${formatOrigin(other)}` : ''}`,
  };
}

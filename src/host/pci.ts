import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { namesIn } from './reading.ts';

/** A function of a PCI device, as the kernel tells it. */
export interface PciFunction {
  readonly address: string;
  /** As in `0x8086`. */
  readonly vendor: string;
  readonly device: string;
  /** Class, subclass and interface, as in `0x030000`. */
  readonly class: string;
  /** The driver it is bound to. */
  readonly driver?: string;
  /** The number of its IOMMU group; absent where the IOMMU is off. */
  readonly group?: string;
}

/** The PCI function at an address such as `0000:01:00.0`; undefined where there is none. */
export function readPci(address: string, sys = '/sys'): PciFunction | undefined {
  const dir = `${sys}/bus/pci/devices/${address}`;
  try {
    const read = (name: string): string => readFileSync(`${dir}/${name}`, 'latin1').trim();
    const driver = linkName(`${dir}/driver`);
    const group = linkName(`${dir}/iommu_group`);
    return {
      address,
      vendor: read('vendor'),
      device: read('device'),
      class: read('class'),
      ...(driver !== undefined && { driver }),
      ...(group !== undefined && { group }),
    };
  } catch {
    return undefined;
  }
}

/** Addresses of all PCI functions, in order. */
export function pciAddresses(sys = '/sys'): readonly string[] {
  return namesIn(`${sys}/bus/pci/devices`).toSorted();
}

/** The last part of where a link leads; undefined where there is none. */
export function linkName(path: string): string | undefined {
  try {
    return basename(readlinkSync(path));
  } catch {
    return undefined;
  }
}

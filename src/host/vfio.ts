import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import type { PciFacts } from './facts.ts';
import { linkName, type PciFunction, pciAddresses, readPci } from './pci.ts';
import { namesIn, textIn } from './reading.ts';

/** Where the kernel shows devices; tests have trees of their own. */
export interface DeviceTrees {
  readonly sys: string;
  readonly dev: string;
}

const HERE: DeviceTrees = { sys: '/sys', dev: '/dev' };

/** What keeps a device of the host from being handed to a VM. */
export interface VfioFault {
  readonly code: string;
  readonly message: string;
  readonly help: string;
}

/** Drivers that leave a device of a group alone: see the kernel's vfio_dev_driver_allowed. */
const HARMLESS = ['pci-stub', 'pcieport', 'shpchp'];

/** Faults that end when the setuid helper lends the device. */
export const CLOSED = ['pci-driver', 'vfio-denied'];

const SETUP = 'let `sudo ezvm setup group` prepare it, and reboot';

/**
 * Looks whether the PCI function at `address` can be handed over, and changes nothing.
 * @param together the addresses of all that the VM is handed, each of which is looked at by itself
 * @returns why not: every reason that can be seen at once
 */
export function findPciFaults(address: string, together: readonly string[], trees: DeviceTrees = HERE): VfioFault[] {
  const found = readPci(address, trees.sys);
  if (!found)
    return [
      {
        code: 'pci-missing',
        message: `there is no PCI device ${address}`,
        help: 'see the addresses of your devices: lspci -D',
      },
    ];
  if (found.class.startsWith('0x0604'))
    return [
      {
        code: 'pci-bridge',
        message: `${describe(found)} is a PCI bridge, which no VM can have`,
        help: 'hand over the devices behind it: lspci -tv',
      },
    ];
  const { group } = found;
  if (group === undefined) return [iommuOff(address)];
  const faults = isFree(found)
    ? []
    : [
        {
          code: 'pci-driver',
          message: `${describe(found)} ${found.driver === undefined ? 'has no driver, and needs vfio-pci' : `is in use by the host's driver ${found.driver}, and not by vfio-pci`}`,
          help: `${SETUP}; or until the next reboot: sudo driverctl --nosave set-override ${address} vfio-pci`,
        },
      ];
  const others = membersOf(group, trees).filter(
    (other) => !together.includes(other.address) && !isFree(other) && !HARMLESS.includes(other.driver ?? 'pci-stub'),
  );
  if (others.length > 0)
    faults.push({
      code: 'iommu-group-shared',
      message: `${address} is in IOMMU group ${group} together with ${others.map((other) => `${describe(other)}, in use by ${other.driver}`).join(' and ')}`,
      help: 'a group is handed over as a whole: add these to the VM, bind them to vfio-pci, or put the card into another slot',
    });
  return faults.length > 0 ? faults : findGroupFaults(group, trees);
}

/** Every PCI function, with what keeps it from being handed over by itself. */
export function probePci(trees: DeviceTrees = HERE): readonly PciFacts[] {
  return pciAddresses(trees.sys).flatMap((address): PciFacts[] => {
    const found = readPci(address, trees.sys);
    if (!found) return [];
    const faults = findPciFaults(address, [address], trees);
    return [
      {
        address,
        id: idOf(found),
        ...(found.group !== undefined && { group: found.group }),
        ...(faults[0] && { fault: faults[0].message }),
        ...(faults.some(({ code }) => CLOSED.includes(code)) && { closed: true as const }),
      },
    ];
  });
}

/** The same for a mediated device (a slice of a GPU), by its path below /sys. */
export function findMediatedFaults(path: string, trees: DeviceTrees = HERE): VfioFault[] {
  const dir = path.replace(/^\/sys(?=\/)/, trees.sys);
  const group = linkName(`${dir}/iommu_group`);
  if (!existsSync(dir))
    return [
      {
        code: 'mdev-missing',
        message: `there is no mediated device ${basename(path)}`,
        help: `make it: echo ${basename(path)} | sudo tee /sys/class/mdev_bus/<card>/mdev_supported_types/<type>/create`,
      },
    ];
  return group === undefined ? [iommuOff(basename(path))] : findGroupFaults(group, trees);
}

/** Bytes of memory that a process started by this one may lock; Infinity where there is no limit. */
export function lockableMemory(limits = '/proc/self/limits'): number {
  const [, soft] = /^Max locked memory +(\S+)/m.exec(textIn(limits)) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function iommuOff(what: string): VfioFault {
  return {
    code: 'iommu-off',
    message: `${what} is in no IOMMU group: the IOMMU is off`,
    help: 'turn on VT-d or AMD-Vi (IOMMU) in the firmware setup; on Intel, also start the kernel with intel_iommu=on',
  };
}

/** QEMU opens the group's own device. */
function findGroupFaults(group: string, { dev }: DeviceTrees): VfioFault[] {
  const path = `${dev}/vfio/${group}`;
  if (!existsSync(path))
    return [{ code: 'vfio-missing', message: `there is no ${path}`, help: 'load the driver: sudo modprobe vfio-pci' }];
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return [];
  } catch (error) {
    // The kernel lets one process have a group.
    if ((error as NodeJS.ErrnoException).code === 'EBUSY')
      return [{ code: 'vfio-busy', message: `another VM has IOMMU group ${group} (${path})`, help: 'stop that first' }];
    return [{ code: 'vfio-denied', message: `you may not read and write ${path}`, help: SETUP }];
  }
}

function membersOf(group: string, { sys }: DeviceTrees): PciFunction[] {
  return namesIn(`${sys}/kernel/iommu_groups/${group}/devices`).flatMap((name) => readPci(name, sys) ?? []);
}

/** Makers have VFIO drivers of their own, such as mlx5_vfio_pci. */
function isFree({ driver }: PciFunction): boolean {
  return driver?.includes('vfio') ?? false;
}

function describe(found: PciFunction): string {
  return `${found.address} (${idOf(found)})`;
}

function idOf({ vendor, device }: PciFunction): string {
  return `${vendor.slice(2)}:${device.slice(2)}`;
}

import { EXIT, fault } from '../../core/diagnostic.ts';
import type { PciFunction } from '../../host/pci.ts';
import type { HostNeeds } from './needs.ts';

/** It must come after LVM's own rules (56), which name what is matched here, and before those that give devices to the person at the screen (73). */
export const DEVICE_RULES = '/etc/udev/rules.d/70-ezvm.rules';

/** The rules that give devices to a group. */
export function deviceRules(needs: HostNeeds, functions: readonly PciFunction[], group: string): string[] {
  const given = `GROUP="${group}", MODE="0660"`;
  return [
    ...functions.flatMap(matchFunction).map((match) => `${match}, ${given}`),
    ...needs.mediated.map((name) => `SUBSYSTEM=="vfio", ${inGroup(plain(name))}, ${given}`),
    ...(functions.length + needs.mediated.length > 0 ? [`KERNEL=="iommu", SUBSYSTEM=="misc", ${given}`] : []),
    ...needs.blocks.map((path) => `SUBSYSTEM=="block", ${matchBlock(path)}, ${given}`),
    ...(needs.kvmfr.length > 0 ? [`SUBSYSTEM=="kvmfr", ${given}, TAG+="uaccess"`] : []),
    ...needs.usb.map(
      ({ vendor, product }) =>
        `SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="${hex(vendor)}", ATTR{idProduct}=="${hex(product)}", ${given}, TAG+="uaccess"`,
    ),
    ...needs.inputs.map((path) => `SUBSYSTEM=="input", ${matchNode(path)}, ${given}`),
  ];
}

/** A rule per function that binds it to vfio-pci before any other driver, as long as it is the device that it was. */
export function bindingRules(functions: readonly PciFunction[]): string[] {
  // Without the two RUNs the device can end up with no driver at all.
  return functions.map(
    ({ address, vendor, device }) =>
      `ACTION=="add", SUBSYSTEM=="pci", KERNEL=="${address}", ATTR{vendor}=="${vendor}", ATTR{device}=="${device}", ATTR{driver_override}="vfio-pci", RUN{builtin}+="kmod load vfio-pci", RUN+="/bin/sh -c 'echo %k > /sys/bus/pci/drivers_probe'"`,
  );
}

/** The node of its IOMMU group, whose number may be another at the next boot, and its own, as long as it is the device that it was. */
function matchFunction({ address, vendor, device }: PciFunction): string[] {
  const own = `KERNELS=="${address}", ATTRS{vendor}=="${vendor}", ATTRS{device}=="${device}"`;
  const attribute = (name: string): string => `ATTR{[pci/${address}]${name}}`;
  return [
    `SUBSYSTEM=="vfio", ${inGroup(address)}, ${attribute('vendor')}=="${vendor}", ${attribute('device')}=="${device}"`,
    `SUBSYSTEM=="vfio-dev", ${own}`,
  ];
}

/** Holds for the node of the IOMMU group that a device is in. */
function inGroup(device: string): string {
  return `TEST=="/sys/kernel/iommu_groups/%k/devices/${device}"`;
}

/** LVM and the device mapper have names of their own; anything else goes by the node or the link that the VM names. */
function matchBlock(path: string): string {
  const [, volumeGroup, volume] = /^\/dev\/(?!disk\/|mapper\/)([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (volumeGroup !== undefined && volume !== undefined)
    return `ENV{DM_VG_NAME}=="${plain(volumeGroup)}", ENV{DM_LV_NAME}=="${plain(volume)}"`;
  const [, mapped] = /^\/dev\/mapper\/(.+)$/.exec(path) ?? [];
  return mapped === undefined ? matchNode(path) : `ENV{DM_NAME}=="${plain(mapped)}"`;
}

function matchNode(path: string): string {
  const name = path.replace(/^\/dev\//, '');
  return name.includes('/') ? `SYMLINK=="${plain(name)}"` : `KERNEL=="${plain(name)}"`;
}

/** Signs that would make a rule match other devices, or end it. */
function plain(name: string): string {
  if (/^[A-Za-z0-9_.:+@/-]+$/.test(name)) return name;
  throw fault(EXIT.config, 'name-refused', `${JSON.stringify(name)} cannot be matched by a udev rule`, {
    help: 'name the device by another of its links; see: ls -l /dev/disk/*',
  });
}

function hex(number: number): string {
  return number.toString(16).padStart(4, '0');
}

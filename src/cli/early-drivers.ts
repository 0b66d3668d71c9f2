import { existsSync } from 'node:fs';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { PciFunction } from '../host/pci.ts';

/** What makes an initramfs anew, and how vfio-pci comes into it. */
const MAKERS: readonly { readonly program: string; readonly how: string }[] = [
  {
    program: '/usr/sbin/update-initramfs',
    how: 'add a line `vfio-pci` to /etc/initramfs-tools/modules, and run update-initramfs -u',
  },
  {
    program: '/usr/bin/dracut',
    how: 'write `force_drivers+=" vfio-pci "` into /etc/dracut.conf.d/vfio.conf, and run dracut --force',
  },
  { program: '/usr/bin/mkinitcpio', how: 'add vfio-pci to MODULES in /etc/mkinitcpio.conf, and run mkinitcpio -P' },
];

/**
 * Of devices that another driver has now: whether rules of udev's are enough for vfio-pci to have them at the next boot. An
 * initramfs has none of these rules, and what it binds stays bound.
 */
export function tellEarlyDrivers(functions: readonly PciFunction[]): Diagnostic[] {
  const taken = functions.filter(({ driver }) => driver !== undefined && driver !== 'vfio-pci');
  if (taken.length === 0) return [];
  const names = taken.map(({ address, driver }) => `${address} (${driver})`).join(', ');
  const ids = [...new Set(taken.map(({ vendor, device }) => `${vendor.slice(2)}:${device.slice(2)}`))].join(',');
  const makers = MAKERS.filter(({ program }) => existsSync(program));
  const how = (makers.length > 0 ? makers : MAKERS).map((maker) => maker.how).join('; or ');
  return [
    {
      severity: 'note',
      code: 'driver-first',
      message: `vfio-pci gets ${names} at the next boot, unless the initramfs loads the driver that has it now`,
      help: `where it does: write \`options vfio-pci ids=${ids}\`, which takes every device with these ids, into /etc/modprobe.d/vfio.conf; ${how}`,
    },
  ];
}

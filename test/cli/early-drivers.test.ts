import { expect, it } from 'vitest';
import { tellEarlyDrivers } from '../../src/cli/early-drivers.ts';
import type { PciFunction } from '../../src/host/pci.ts';

function taken(address: string, device: string, driver?: string): PciFunction {
  return { address, vendor: '0x10de', device, class: '0x030000', ...(driver !== undefined && { driver }) };
}

it('tells what an initramfs that has the driver wants, once for all devices that have one', () => {
  const notes = tellEarlyDrivers([
    taken('0000:01:00.0', '0x2684', 'nvidia'),
    taken('0000:01:00.1', '0x22ba', 'snd_hda_intel'),
    taken('0000:02:00.0', '0x2684'),
    taken('0000:03:00.0', '0x2684', 'vfio-pci'),
  ]);
  expect(notes.map(({ message }) => message)).toEqual([
    'vfio-pci gets 0000:01:00.0 (nvidia), 0000:01:00.1 (snd_hda_intel) at the next boot, unless the initramfs loads the driver that has it now',
  ]);
  expect(notes[0]?.help).toMatch(/`options vfio-pci ids=10de:2684,10de:22ba`.*(update-initramfs|dracut|mkinitcpio)/);
});

it('says nothing where no other driver has any', () => {
  expect(tellEarlyDrivers([taken('0000:02:00.0', '0x2684'), taken('0000:03:00.0', '0x2684', 'vfio-pci')])).toEqual([]);
});

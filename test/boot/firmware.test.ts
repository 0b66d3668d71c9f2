import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { writeUefiDisk } from '../guests/uefi-app.ts';
import { Machine } from './machine.ts';

const BUSES = ['virtio', 'scsi', 'scsi-single', 'pvscsi', 'lsi', 'megasas', 'sata', 'nvme', 'usb'];
/** Bytes of a floppy disk. */
const FLOPPY = 1440 * 1024;

let machine: Machine;
afterEach(() => machine.remove());

async function expectOrderlyStop(): Promise<void> {
  const { pid } = await machine.status();
  expect(pid).toBeGreaterThan(0);
  const { exit, err } = await machine.ezvm('stop', 'vm');
  expect(err).toContain('vm is stopped');
  expect(exit).toBe(0);
  expect((await machine.status()).condition).toBe('stopped');
  expect(existsSync(join(machine.dir, 'run', 'ezvm', 'vm'))).toBe(false);
}

describe('a machine of a few lines', () => {
  it('boots a boot sector by BIOS, and is stopped by its power button', async () => {
    machine = new Machine('template: other\nprofiles: [headless]\ndisks: [disk.raw]\n');
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    await machine.start();
    await machine.waitFor('EZVM-UP');
    await expectOrderlyStop();
  });

  it.each(BUSES)('boots a boot sector from a %s disk', async (bus) => {
    machine = new Machine(
      `template: linux\nprofiles: [headless]\nfirmware: bios\nmemory: 512M\ndisks: [{ file: disk.raw, bus: ${bus} }]\n`,
    );
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    await machine.start();
    await machine.waitFor('EZVM-UP');
    await expectOrderlyStop();
  });

  it.each(['q35', 'pc'])('boots a floppy disk on %s before any other', async (board) => {
    machine = new Machine(
      `template: other\nprofiles: [headless]\nmachine: ${board}\nfirmware: bios\ndisks: [disk.raw, { type: floppy, file: floppy.img, boot: 0 }]\n`,
    );
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain', 'EZVM-HD');
    writeGuestDisk(join(machine.dir, 'floppy.img'), 'plain', 'EZVM-FD', FLOPPY);
    await machine.start();
    expect(await machine.waitFor('EZVM-')).not.toContain('EZVM-HD');
    await machine.waitFor('EZVM-FD');
    await expectOrderlyStop();
  });

  it('boots by BIOS what comes first in the boot order, wherever it sits', async () => {
    const disks = `disks:
  - { file: a.raw, boot: 7 }
  - { file: b.raw, bus: lsi, boot: 3 }
  - { file: c.raw, bus: nvme, boot: 5 }
  - { type: cdrom, boot: 1 }
`;
    machine = new Machine(`template: linux\nprofiles: [headless]\nfirmware: bios\nmemory: 512M\n${disks}`);
    for (const name of ['a', 'b', 'c'])
      writeGuestDisk(join(machine.dir, `${name}.raw`), 'plain', `EZVM-${name.repeat(2)}`);
    await machine.start();
    await machine.waitFor('EZVM-bb');
    expect(machine.console()).not.toMatch(/EZVM-(aa|cc)/);
    await expectOrderlyStop();
    // The same disks in the same places, and another order.
    machine.write(
      'vm.yaml',
      `name: vm\ntemplate: linux\nprofiles: [headless]\nfirmware: bios\nmemory: 512M\n${disks.replace('boot: 7', 'boot: 2')}`,
    );
    await machine.start();
    await machine.waitFor('EZVM-aa');
    await expectOrderlyStop();
  });

  it.each(['ide', 'virtio', 'lsi'])('boots a boot sector from a %s disk on the old board', async (bus) => {
    machine = new Machine(
      `template: windows-xp\nprofiles: [headless]\nmemory: 512M\ndisks: [{ file: disk.raw, bus: ${bus} }]\n`,
    );
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    await machine.start();
    await machine.waitFor('EZVM-UP');
    await expectOrderlyStop();
  });

  it('boots \\EFI\\BOOT\\BOOTX64.EFI by UEFI, and is stopped by its power button', async () => {
    machine = new Machine('template: linux\nprofiles: [headless]\nmemory: 512M\ndisks: [disk.raw]\n');
    writeUefiDisk(join(machine.dir, 'disk.raw'));
    await machine.start();
    await machine.waitFor('EZVM-UEFI-UP');
    await expectOrderlyStop();
  });

  it.each(['scsi', 'scsi-single', 'sata', 'nvme', 'usb'])('boots by UEFI from a %s disk', async (bus) => {
    machine = new Machine(
      `template: linux\nprofiles: [headless]\nmemory: 512M\ndisks: [{ file: disk.raw, bus: ${bus} }]\n`,
    );
    writeUefiDisk(join(machine.dir, 'disk.raw'));
    await machine.start();
    await machine.waitFor('EZVM-UEFI-UP');
    await expectOrderlyStop();
  });

  it('boots by UEFI what comes first in the boot order, wherever it sits', async () => {
    machine = new Machine(
      'template: linux\nprofiles: [headless]\nmemory: 512M\ndisks: [{ file: a.raw, boot: 2 }, { file: b.raw, bus: nvme, boot: 1 }]\n',
    );
    writeUefiDisk(join(machine.dir, 'a.raw'), 'EZVM-UEFI-aa');
    writeUefiDisk(join(machine.dir, 'b.raw'), 'EZVM-UEFI-bb');
    await machine.start();
    await machine.waitFor('EZVM-UEFI-bb');
    expect(machine.console()).not.toContain('EZVM-UEFI-aa');
    await expectOrderlyStop();
  });

  it('gives UEFI variables of its own, which are kept from one start to the next', async () => {
    machine = new Machine('template: linux\nprofiles: [headless]\nmemory: 512M\ndisks: [disk.raw]\n');
    writeUefiDisk(join(machine.dir, 'disk.raw'));
    const store = join(machine.dir, 'state', 'ezvm', 'vm', 'efivars.fd');
    await machine.start();
    await machine.waitFor('EZVM-UEFI-UP');
    await expectOrderlyStop();
    // Firmware has noted what it can boot, in a file that the next start must not make anew.
    expect(readFileSync(store).includes(Buffer.from('Boot0001', 'utf16le'))).toBe(true);
    const { ino } = statSync(store);
    await machine.start();
    await machine.waitFor('EZVM-UEFI-UP');
    await expectOrderlyStop();
    expect(statSync(store).ino).toBe(ino);
  });
});

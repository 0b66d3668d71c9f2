import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { writeUefiDisk } from '../guests/uefi-app.ts';
import { Machine } from './machine.ts';

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

  it.each(['virtio', 'scsi', 'sata', 'nvme', 'usb'])('boots a boot sector from a %s disk', async (bus) => {
    machine = new Machine(
      `template: linux\nprofiles: [headless]\nfirmware: bios\nmemory: 512M\ndisks: [{ file: disk.raw, bus: ${bus} }]\n`,
    );
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    await machine.start();
    await machine.waitFor('EZVM-UP');
    await expectOrderlyStop();
  });

  it.each(['ide', 'virtio'])('boots a boot sector from a %s disk on the old board', async (bus) => {
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

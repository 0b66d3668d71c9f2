import { writeFileSync } from 'node:fs';

/** The two non-zero parts of the file assembled from uefi-app.asm: its headers, and the code at 512. */
const HEADERS =
  'TVoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAFBFAABkhgEAAAAAAAAAAAAAAAAAoAAiAAsCAAAAAgAAAAAAAAAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAACAAAAAAAAAAAAAAAAAAAAAAAAACAAAAACAAAAAAAACgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAudGV4dAAAAAACAAAAEAAAAAIAAAACAAAAAAAAAAAAAAAAAAAgAABg';
const CODE =
  'SLhJQkkgU1lTVEg5AnVASI01OwAAAKyEwHQUiMRmuv0D7KggdPuI4Ga6+APu6+dmugIGZrgAAWbvZroABmbtZqkAAXT0ZroEBma4ACBm7+v+RVpWTS1VRUZJLVVQDQo=';

const SECTOR = 512;
const SECTORS = 2048;
const FAT_SECTORS = 6;
const ROOT_SECTORS = 1;
const FIRST_CLUSTER = 1 + FAT_SECTORS + ROOT_SECTORS;

/**
 * Writes a FAT disk of 1 MiB whose \EFI\BOOT\BOOTX64.EFI says EZVM-UEFI-UP on COM1 and powers off when the ACPI button is
 * pressed.
 * @param says in the place of that, and as long
 */
export function writeUefiDisk(path: string, says = 'EZVM-UEFI-UP'): void {
  const disk = Buffer.alloc(SECTORS * SECTOR);
  disk.write('\xeb\x3c\x90EZVM    ', 0, 'latin1');
  disk.writeUInt16LE(SECTOR, 11);
  disk.writeUInt8(1, 13); // sectors in a cluster
  disk.writeUInt16LE(1, 14); // sectors before the allocation table
  disk.writeUInt8(1, 16); // allocation tables
  disk.writeUInt16LE((ROOT_SECTORS * SECTOR) / 32, 17);
  disk.writeUInt16LE(SECTORS, 19);
  disk.writeUInt8(0xf8, 21);
  disk.writeUInt16LE(FAT_SECTORS, 22);
  disk.writeUInt16LE(16, 24); // sectors in a track, and heads: not used, but looked at
  disk.writeUInt16LE(2, 26);
  disk.writeUInt8(0x29, 38);
  disk.write('EZVM       FAT12   ', 43, 'latin1');
  disk.writeUInt16LE(0xaa55, 510);

  // Twelve bits a cluster: the two folders end where they start, the program goes on from cluster 4 to 5.
  disk.write('f8ffffffffff05f0ff', SECTOR, 'hex');
  writeEntry(disk, 1 + FAT_SECTORS, 0, 'EFI        ', { folder: true, cluster: 2 });
  writeEntry(disk, FIRST_CLUSTER, 0, '.          ', { folder: true, cluster: 2 });
  writeEntry(disk, FIRST_CLUSTER, 1, '..         ', { folder: true, cluster: 0 });
  writeEntry(disk, FIRST_CLUSTER, 2, 'BOOT       ', { folder: true, cluster: 3 });
  writeEntry(disk, FIRST_CLUSTER + 1, 0, '.          ', { folder: true, cluster: 3 });
  writeEntry(disk, FIRST_CLUSTER + 1, 1, '..         ', { folder: true, cluster: 2 });
  writeEntry(disk, FIRST_CLUSTER + 1, 2, 'BOOTX64 EFI', { folder: false, cluster: 4 });
  disk.write(HEADERS, (FIRST_CLUSTER + 2) * SECTOR, 'base64');
  disk.write(CODE, (FIRST_CLUSTER + 3) * SECTOR, 'base64');
  disk.write(says, disk.indexOf('EZVM-UEFI-UP'), 'latin1');
  writeFileSync(path, disk);
}

function writeEntry(
  disk: Buffer,
  sector: number,
  index: number,
  name: string,
  to: { folder: boolean; cluster: number },
): void {
  const at = sector * SECTOR + index * 32;
  disk.write(name, at, 'latin1');
  disk.writeUInt8(to.folder ? 0x10 : 0x20, at + 11);
  disk.writeUInt16LE(to.cluster, at + 26);
  disk.writeUInt32LE(to.folder ? 0 : 2 * SECTOR, at + 28);
}

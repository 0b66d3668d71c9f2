import { writeFileSync } from 'node:fs';

/** Machine code assembled from boot-sector.asm beside this file, without the padding. */
const CODE = {
  plain: 'McCO2I7QvAB8/Pu+QHysCMB0EojBuv0D7CQgdPiIyLr4A+7r6boCBrgAAe/0ugAG7akAAXT2ugQGuAAg7/Tr/UVaVk0tVVANCgA=',
  stubborn: 'McCO2I7QvAB8/Pu+KHysCMB0EojBuv0D7CQgdPiIyLr4A+7r6fTr/UVaVk0tVVANCgA=',
  quick: 'McCO2I7QvAB8/Pu+L3ysCMB0EojBuv0D7CQgdPiIyLr4A+7r6boEBrgAIO/06/1FWlZNLVVQDQoA',
  late: 'McCO2I7QvAB8/Pu+RnysCMB0EojBuv0D7CQgdPiIyLr4A+7r6bkkAPTi/boCBrgAAe/0ugAG7akAAXT2ugQGuAAg7/Tr/UVaVk0tVVANCgA=',
  writer:
    'McCO2I7QvAB8/Pu+SnysCMB0EojBuv0D7CQgdPiIyLr4A+7r6bgAQ7KAvlR8zRO6Aga4AAHv9LoABu2pAAF09roEBrgAIO/06/1FWlZNLVVQDQoAEAABAAB8AAABAAAAAAAAAA==',
  painter:
    'McCO2I7QvAB8/Pu+mXy5BQCt6H8ArULv4ve4AKCOwDH/Me0x2zHJMfaB+UABcgODxgSB/fAAcgODxghmi4StfGarCf91C0O4BQDoRwBCidjvQYH5gAJyz0WB/eABcsa+vXysCMB0EojBuv0D7CQgdPiIyLr4A+7r6boCBrgAAe/0ugAG7akAAXT2ugQGuAAg7/Tr/brOAe/DBAAAAAEAgAICAOABAwAgAAQAAQAAAP8AAP8AAP8AAAD///8ARVpWTS1VUA0KAA==',
} as const;

/**
 * `plain` powers off when the ACPI button is pressed, `stubborn` ignores it, `quick` powers off at once, `late` looks at
 * the button only after two seconds, `writer` writes one sector and is then like `plain`, `painter` paints four rectangles
 * before. All say EZVM-UP on COM1 first.
 */
export type Guest = keyof typeof CODE;

const MIB = 1024 * 1024;

/**
 * Writes a disk that boots a guest; 1 MiB, because SeaBIOS cannot boot smaller ones from every controller.
 * @param says in the place of EZVM-UP, and as long
 */
export function writeGuestDisk(path: string, guest: Guest, says = 'EZVM-UP', size = MIB): void {
  const disk = Buffer.alloc(size);
  disk.write(CODE[guest], 'base64');
  disk.write(says, disk.indexOf('EZVM-UP'), 'latin1');
  disk.writeUInt16LE(0xaa55, 510);
  writeFileSync(path, disk);
}

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes from the start in which firmware keeps its variables; that of PCs has 528K in all, of ARM the first 256K of 64M. */
const MOST = 2 * 2 ** 20;

/** EFI_GLOBAL_VARIABLE and the name PK, with which a variable's header ends and its name begins. */
const PLATFORM_KEY = Buffer.concat([
  Buffer.from('61dfe48bca93d211aa0d00e098032b8c', 'hex'),
  Buffer.from('PK\0', 'utf16le'),
]);

/** How far before that its header begins: AUTHENTICATED_VARIABLE_HEADER of edk2's VariableFormat.h. */
const HEADER = 44;
const START = 0x55aa;
/** VAR_ADDED, with or without VAR_IN_DELETED_TRANSITION; deleted variables stay where they are, with other bits. */
const ALIVE: readonly number[] = [0x3f, 0x3e];

/**
 * Whether a store of UEFI variables, which is no container such as qcow2, has a platform key, without which Secure Boot
 * is not in force; undefined where there is no file that can be read.
 */
export function hasPlatformKey(path: string): boolean | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size === 0) return undefined;
    const store = Buffer.alloc(Math.min(stat.size, MOST));
    readSync(file, store, 0, store.length, 0);
    return holdsKey(store);
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function holdsKey(store: Buffer): boolean {
  for (let at = store.indexOf(PLATFORM_KEY); at !== -1; at = store.indexOf(PLATFORM_KEY, at + 1)) {
    const header = at - HEADER;
    if (header >= 0 && store.readUInt16LE(header) === START && ALIVE.includes(store.readUInt8(header + 2))) return true;
  }
  return false;
}

import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { PathFacts } from './facts.ts';
import { findInherited } from './inherited.ts';

const MAGIC: readonly {
  readonly format: NonNullable<PathFacts['format']>;
  readonly at: number;
  readonly bytes: string;
}[] = [
  { format: 'qcow2', at: 0, bytes: 'QFI\xfb' },
  { format: 'vmdk', at: 0, bytes: 'KDMV' },
  { format: 'vmdk', at: 0, bytes: 'COWD' },
  { format: 'vmdk', at: 0, bytes: '# Disk DescriptorFile' },
  { format: 'vdi', at: 64, bytes: '\x7f\x10\xda\xbe' },
  { format: 'vhdx', at: 0, bytes: 'vhdxfile' },
  { format: 'vpc', at: 0, bytes: 'conectix' },
];

/** Bytes at the end of an image where a VHD of fixed size keeps its only mark. */
const FOOTER = 512;

/** What is at each of `paths`. Follows links, opens only files and block devices, and never waits or throws. */
export function probePaths(paths: readonly string[]): { readonly [path: string]: PathFacts } {
  return Object.fromEntries(paths.map((path) => [path, probePath(path)]));
}

/** What is at one path. */
export function probePath(path: string): PathFacts {
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    return { kind: denied ? 'denied' : 'missing', readable: false, writable: false };
  }
  if (!found) return { kind: 'missing', readable: false, writable: false };
  const kind = kindOf(found);
  // What root has opened for us is as good as ours.
  const handed = findInherited().filter((one) => one.path === path);
  const access = {
    kind,
    readable: handed.length > 0 || may(path, constants.R_OK),
    writable: handed.some((one) => one.access === 'write') || may(path, constants.W_OK),
  };
  const size = kind === 'file' ? found.size : kind === 'block' ? blockSize(found.rdev) : undefined;
  const image = access.readable && (kind === 'file' || kind === 'block') ? lookInto(path, size) : {};
  return { ...access, ...(size !== undefined && { size }), ...identityOf(found), ...image };
}

function identityOf(found: Stats): Pick<PathFacts, 'identity'> {
  if (found.isFile()) return { identity: `file ${found.dev} ${found.ino}` };
  return found.isBlockDevice() ? { identity: `device ${found.rdev}` } : {};
}

function kindOf(found: Stats): PathFacts['kind'] {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isBlockDevice()) return 'block';
  if (found.isCharacterDevice()) return 'character';
  return found.isSocket() ? 'socket' : 'other';
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** A block device has no size of its own in stat; the kernel counts it in sectors of 512 bytes, whatever the device's are. */
function blockSize(device: number): number | undefined {
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
  } catch {
    return undefined;
  }
}

type Header = Pick<PathFacts, 'virtualSize' | 'backing' | 'backingFormat' | 'further' | 'unlisted'>;

/** Images below an image, each below the one before; QEMU has no limit, and whoever makes an image none either. */
const DEEPEST = 100;

function lookInto(path: string, size: number | undefined, depth = 0): Pick<PathFacts, 'format'> & Header {
  let file: number | undefined;
  try {
    // Between stat and open the path may have become a FIFO, which would wait for a writer.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile() && !fstatSync(file).isBlockDevice()) return {};
    const head = readAt(file, 0);
    const known = MAGIC.find(({ at, bytes }) => head.startsWith(bytes, at));
    if (known?.format === 'qcow2') return { format: 'qcow2', ...qcow2Header(file, path, depth) };
    if (known) return { format: known.format };
    const isFixed = size !== undefined && size > FOOTER && readAt(file, size - FOOTER).startsWith('conectix');
    return { format: isFixed ? 'vpc' : 'raw' };
  } catch {
    return {};
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Longest name of a backing file that QEMU takes. */
const LONGEST_BACKING = 1023;

/** https://www.qemu.org/docs/master/interop/qcow2.html, “Header”. */
function qcow2Header(file: number, path: string, depth: number): Header {
  const header = Buffer.alloc(32);
  readSync(file, header, 0, header.length, 0);
  const virtualSize = Number(header.readBigUInt64BE(24));
  const name = Buffer.alloc(Math.min(header.readUInt32BE(16), LONGEST_BACKING));
  readSync(file, name, 0, name.length, Number(header.readBigUInt64BE(8)));
  const text = name.toString('utf8');
  const data = extensionIn(file, DATA_FILE) ?? '';
  const isPath = (one: string): boolean => one !== '' && !/^[^/]*:/.test(one);
  const beside = (one: string): string => resolve(dirname(path), one);
  const backing = isPath(text) ? beside(text) : undefined;
  const backingFormat = extensionIn(file, BACKING_FORMAT);
  // What looks like a header in a raw image is a guest's.
  const isLast = backing === undefined || backingFormat === 'raw' || depth === DEEPEST;
  const below = isLast ? {} : lookInto(backing, undefined, depth + 1);
  const further = [data].filter(isPath).map(beside);
  further.push(...(below.backing === undefined ? [] : [below.backing]), ...(below.further ?? []));
  const unlisted = [text, data].filter((one) => one !== '' && !isPath(one));
  unlisted.push(...(below.unlisted ?? []));
  return {
    virtualSize,
    ...(backing !== undefined && { backing }),
    ...(backing !== undefined && backingFormat !== undefined && { backingFormat }),
    ...(further.length > 0 && { further: [...new Set(further)] }),
    ...(unlisted.length > 0 && { unlisted: [...new Set(unlisted)] }),
  };
}

/** Begin the parts of a header that name the format of the backing file, and the file that has the data. */
const BACKING_FORMAT = 0xe2792aca;
const DATA_FILE = 0x44415441;

/** The same page, “Header extensions”: from byte 72 on in version 2, behind the header in version 3. */
function extensionIn(file: number, wanted: number): string | undefined {
  const head = Buffer.alloc(4096);
  const length = readSync(file, head, 0, head.length, 0);
  let at = head.readUInt32BE(4) < 3 ? 72 : head.readUInt32BE(100);
  while (at + 8 <= length) {
    const [type, size] = [head.readUInt32BE(at), head.readUInt32BE(at + 4)];
    if (type === 0) return undefined;
    if (type === wanted) return head.toString('utf8', at + 8, at + 8 + size);
    at += 8 + Math.ceil(size / 8) * 8;
  }
  return undefined;
}

function readAt(file: number, position: number): string {
  const buffer = Buffer.alloc(FOOTER);
  return buffer.toString('latin1', 0, readSync(file, buffer, 0, FOOTER, position));
}

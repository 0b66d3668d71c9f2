import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { EXIT, fault } from '../core/diagnostic.ts';

/** Anything larger is no text that a person wrote; the parser has a tighter limit of its own. */
const MAX_BYTES = 1024 * 1024;

/**
 * Reads a text file: UTF-8, with or without a byte order mark.
 * @param shown the name that messages use
 * @param most bytes
 * @throws EzvmError when it cannot be read, is too large or no UTF-8
 */
export function readText(path: string, shown: string, most: number = MAX_BYTES): string {
  let file: number | undefined;
  try {
    // Not blocking, for the case that a FIFO has taken the file's place.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = fstatSync(file);
    if (size > most)
      throw fault(EXIT.config, 'file-too-large', `${shown} has ${size} bytes; ${most} is the most that is read`, {
        origin: { file: shown, line: 1, column: 1 },
        help: 'this does not look like a VM file: give the YAML file, not a disk image',
      });
    const bytes = readFileSync(file);
    // Marks and line ends are the parser's business, except that a mark would shift the first line's columns.
    return decode(bytes, shown).replace(/^\uFEFF/, '');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.code === 'ENOENT') throw fault(EXIT.config, 'file-missing', `there is no file ${shown}`);
    const reason = REASONS[String(error.code)] ?? error.message;
    throw fault(EXIT.config, 'file-unreadable', `${shown} cannot be read: ${reason}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function decode(bytes: Buffer, shown: string): string {
  const text = bytes.toString('utf8');
  // Undecodable bytes become U+FFFD; a file may hold that character honestly, so the bytes decide.
  if (!text.includes('\uFFFD') || Buffer.from(text, 'utf8').equals(bytes)) return text;
  const before = text.slice(0, text.indexOf('\uFFFD')).split('\n');
  throw fault(EXIT.config, 'not-utf8', 'the file is not UTF-8 text', {
    origin: { file: shown, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 },
    help: 'save it as UTF-8',
  });
}

/** Whether there is anything at `path`; what cannot be looked at counts as nothing. */
export function exists(path: string): boolean {
  return existsSync(path);
}

/** What is at `path`; undefined for nothing, and a text where that cannot be known. */
export function look(path: string): Stats | string | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOTDIR') return undefined;
    return REASONS[code] ?? `error ${code}`;
  }
}

const REASONS: { readonly [code: string]: string } = {
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
};

import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import { shellQuote } from '../core/quote.ts';

const REASONS: { readonly [code: string]: { readonly says: string; readonly help?: string } } = {
  ENOSPC: { says: 'the disk is full', help: 'free some space there' },
  EDQUOT: { says: 'your disk quota is used up', help: 'free some space there' },
  EACCES: { says: 'you may not do that' },
  EPERM: { says: 'the system does not permit it' },
  EROFS: { says: 'the file system is read-only' },
  ENOENT: { says: 'it does not exist' },
  ELOOP: { says: 'it is a link, or links lead to it in a circle' },
  ENXIO: { says: 'it is no ordinary file' },
  ENOTDIR: { says: 'a part of that path is no directory' },
  EMFILE: { says: 'too many files are open' },
  ENOMEM: { says: 'the host is out of memory' },
};

/** What a system error means, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && REASONS[code]?.says) || message;
}

/** A failed system call as an error of the host, exit 3; any other error as it is. `doing` reads like `write /x/y`. */
export function hostFault(error: unknown, doing: string): unknown {
  if (error instanceof EzvmError || !(error instanceof Error)) return error;
  const { code, path } = error as NodeJS.ErrnoException;
  const reason = code ? REASONS[code] : undefined;
  if (!reason) return error;
  const where = path && !doing.includes(path) ? `${path}: ` : '';
  const help = code === 'EACCES' && path ? `see who may: namei -l ${shellQuote(path)}` : reason.help;
  return fault(EXIT.host, 'host-refused', `cannot ${doing}: ${where}${reason.says}`, { help });
}

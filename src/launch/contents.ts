import { type Stats, statSync } from 'node:fs';
import type { Diagnostic } from '../core/diagnostic.ts';
import { shellQuote } from '../core/quote.ts';
import { readHead } from './run-once.ts';

/** What swtpm writes before the state that it keeps in a file or on a device. */
const TPM_STATE = 'nilmptws';

/** Whether there is what is no state of a TPM: swtpm would make a new one in its place without a word. */
export function holdsSomethingElse(path: string): boolean {
  if (statSync(path).isDirectory()) return false;
  const head = readHead(path);
  return head.some((byte) => byte !== 0) && !head.toString('latin1').startsWith(TPM_STATE);
}

/** Whether a file that holds a secret does, and keeps it. */
export function checkSecret(
  { path, origin }: Pick<Diagnostic, 'origin'> & { readonly path: string },
  { mode, size }: Stats,
): Diagnostic | undefined {
  if (size === 0)
    return {
      severity: 'error',
      code: 'secret-empty',
      message: `${path} is empty`,
      help: 'write a secret into it',
      origin,
    };
  if ((mode & 0o077) === 0) return undefined;
  return {
    severity: 'warning',
    code: 'secret-exposed',
    message: `others than you may read or change the secret in ${path}`,
    help: `chmod 600 ${shellQuote(path)}, and take another if it may be known`,
    origin,
  };
}

import { existsSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import { shellQuote } from '../core/quote.ts';
import type { RequirementOf } from '../plan/plan.ts';
import { readHead } from './run-once.ts';

/** What swtpm writes before the state that it keeps in a file or on a device. */
const TPM_STATE = 'nilmptws';

/** Whether there is what is no state of a TPM: swtpm would make a new one in its place without a word. */
export function holdsSomethingElse(path: string): boolean {
  if (statSync(path).isDirectory()) return false;
  const head = readHead(path);
  return head.some((byte) => byte !== 0) && !head.toString('latin1').startsWith(TPM_STATE);
}

/** What swtpm calls the state of a TPM in a directory, by version: in one that holds another's it makes a new TPM beside that. */
const TPM_FILES: { readonly [version: string]: string } = { '1.2': 'tpm-00.permall', '2.0': 'tpm2-00.permall' };

/** Warns of a TPM of another version, whose keys the guest would not find any more. */
export function checkTpmVersion({ path, version, origin }: RequirementOf<'tpm-version'>): Diagnostic | undefined {
  const made = Object.keys(TPM_FILES).filter((one) => existsSync(join(path, TPM_FILES[one] ?? '')));
  const [other] = made;
  if (other === undefined || made.includes(version)) return undefined;
  return {
    severity: 'warning',
    code: 'tpm-other',
    message: `the VM has a TPM ${other} and gets a new ${version} beside it, which opens nothing that the guest has sealed by the other`,
    help: `write \`version: "${other}"\` under tpm to go on with the one it has`,
    origin,
  };
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

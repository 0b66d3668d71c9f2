import type { Diagnostic } from '../core/diagnostic.ts';
import { hasPlatformKey } from '../host/variable-store.ts';
import type { RequirementOf } from '../plan/plan.ts';

type EnrolledKeys = RequirementOf<'enrolled-keys'>;

/** Warns of variables that are there already without the keys: firmware then lets everything start, and says nothing. */
export function checkEnrolledKeys({ path, made, origin }: EnrolledKeys): Diagnostic | undefined {
  if (hasPlatformKey(path) !== false) return undefined;
  const anew = made ? `, or remove ${path}, and it is made anew with them, without the boot entries that it has` : '';
  return {
    severity: 'warning',
    code: 'keys-missing',
    message: `Secure Boot is not in force: the variables in ${path} have no keys`,
    help: `enrol keys in the firmware's menu${anew}; or write \`secure-boot: off\` under firmware`,
    origin,
  };
}

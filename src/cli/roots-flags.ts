import { EXIT, fault } from '../core/diagnostic.ts';
import type { Flags, Verb } from './verb.ts';

/** Of verbs about VMs that run. */
export const OWNER_FLAG = {
  user: { type: 'string', value: 'NAME', help: 'for root: whose VM it is; of who called sudo unless given' },
} as const satisfies Verb['flags'];

/** Flags that mean something to root alone. */
const ROOTS = ['user', 'i-know-qemu-runs-as-root'];

/** @throws EzvmError exit 2 where others than root use a flag of root's */
export function refuseRootsFlags(flags: Flags): void {
  const flag = ROOTS.find((name) => flags[name] !== undefined);
  if (flag !== undefined)
    throw fault(EXIT.usage, 'not-root', `--${flag} is for root`, { help: 'leave it out, or call ezvm by sudo' });
}

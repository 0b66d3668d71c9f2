import type { HostFacts } from '../host/facts.ts';
import { propsOf, type QemuOption } from '../qemu/option.ts';
import type { Sidecar } from './plan.ts';
import type { Relaxation } from './planned-qemu.ts';

/**
 * The words before QEMU's command line that take from it what it inherits; none for an ordinary user, who has nothing to
 * take away and whose QEMU gives up the gaining of privileges with its sandbox.
 */
export function confineQemu(relaxed: readonly Relaxation[], facts: HostFacts): readonly string[] {
  const helper = relaxed.some(({ by }) => by === 'setuid-helper');
  if (helper) return [];
  const isSandboxed = relaxed.every(({ part }) => part !== 'all');
  const kept = relaxed.flatMap(({ capabilities = [] }) => capabilities);
  return setpriv(facts, [...(isSandboxed ? [] : ['--no-new-privs']), ...dropped(facts, kept)]);
}

/** The same for a sidecar. A viewer that hands USB devices to the guest has them opened by a setuid helper of SPICE's. */
export function confineSidecar(
  { when, capabilities = [] }: Sidecar,
  options: readonly QemuOption[],
  facts: HostFacts,
): readonly string[] {
  const redirects = options.some((option) => propsOf(option)['driver'] === 'usb-redir');
  const gains = when !== 'before' && redirects;
  return setpriv(facts, [...(gains ? [] : ['--no-new-privs']), ...dropped(facts, capabilities)]);
}

/** Root's capabilities, without which it may do what the owner of root's files may, and no more. */
function dropped({ user }: HostFacts, kept: readonly string[]): string[] {
  if (user.uid !== 0) return [];
  const set = ['-all', ...new Set(kept.map((name) => `+${name}`))].join(',');
  return [`--inh-caps=${set}`, '--ambient-caps=-all', `--bounding-set=${set}`];
}

function setpriv({ programs }: HostFacts, flags: readonly string[]): readonly string[] {
  const program = programs['setpriv'];
  return program === undefined || flags.length === 0 ? [] : [program, ...flags];
}

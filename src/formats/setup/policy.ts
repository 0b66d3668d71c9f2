import type { Account } from '../../host/account.ts';
import type { PciFunction } from '../../host/pci.ts';
import type { Plan } from '../../plan/plan.ts';
import { gatherNeeds } from './needs.ts';

/** What the helper takes as a path, in a policy as on its command line, and as the name of a bridge. */
const PATH = /^(\/[A-Za-z0-9._+:=@-]+)+$/;
const BRIDGE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/;

/**
 * A policy of the setuid helper (docs/helper.md) that lets a person start these VMs, and what it cannot name.
 * @param functions those of the host that the VMs want
 * @param present what it allows others already, which stays
 */
export function writePolicy(
  plans: readonly Plan[],
  { name, uid }: Pick<Account, 'name' | 'uid'>,
  functions: readonly PciFunction[],
  present: string,
): { text: string; unnamed: readonly string[] } {
  const who = /^[a-z_][a-z0-9_-]*$/.test(name) ? `user:${name}` : `uid:${uid}`;
  const needs = gatherNeeds(plans);
  const unnamed: string[] = [];
  const named = (each: string, pattern: RegExp): boolean => {
    if (!pattern.test(each)) unnamed.push(each);
    return pattern.test(each);
  };
  const programs = [...new Set(plans.map(({ qemu }) => qemu.argv[0] ?? ''))];
  const isWritten = (path: string): boolean =>
    plans.some(({ qemu }) => qemu.descriptors.some((one) => one.path === path && one.access === 'write'));
  const fast = new Set(plans.filter(wantsVhost).flatMap((plan) => gatherNeeds([plan]).bridges));
  const wanted = [
    ...needs.blocks
      .filter((path) => named(path, PATH))
      .map((path) => `block    ${path}  ${isWritten(path) ? 'rw' : 'ro'}`),
    ...needs.bridges
      .filter((bridge) => named(bridge, BRIDGE))
      .map((bridge) => `bridge   ${bridge}${fast.has(bridge) ? '  vhost' : ''}`),
    ...(needs.locked > 0 ? [`memlock  ${Math.ceil(needs.locked / 2 ** 20)}M`] : []),
    ...functions.map((one) => `pci      ${one.address}  ${hex(one.vendor)}:${hex(one.device)}  bind`),
    ...programs.filter((path) => named(path, PATH)).map((path) => `program  ${path}`),
  ];
  const others = present.split('\n').filter((line) => {
    const [verdict, whose] = line.split(/\s+/);
    return verdict === 'allow' && whose !== who;
  });
  return {
    text: [
      '# who  what: see docs/helper.md. Whoever may write a disk may write all that is on it.',
      ...others,
      ...wanted.map((line) => `allow  ${who}  ${line}`),
      '',
    ].join('\n'),
    unnamed,
  };
}

/** Whether a card on a bridge is to have vhost: by the helper, or it is told that QEMU's own has none. */
function wantsVhost({ qemu, requirements }: Plan): boolean {
  return (
    qemu.descriptors.some(({ vhost }) => vhost !== undefined) ||
    requirements.some((one) => one.kind === 'unmet' && one.code === 'bridge-vhost')
  );
}

/** As in `8086`, of `0x8086`. */
function hex(number: string): string {
  return number.replace(/^0x/, '');
}

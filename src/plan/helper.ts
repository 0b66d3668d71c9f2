import type { HostFacts, PathFacts, PciFacts } from '../host/facts.ts';
import type { PlanContext } from './device.ts';
import { chooseFunctions } from './pci-choice.ts';
import type { Requirement, Sidecar } from './plan.ts';
import type { Descriptor, HelperGrant, PlannedHelper, Relaxation } from './planned-qemu.ts';

/** QEMU's private monitor, which `launch` connects to its descriptor 3. */
const MONITOR = 3;
/** How the helper's sentences, and its grants, name the limit. */
export const LOCKED_MEMORY = 'locked memory';

/** Whether QEMU's taps come of the helper: where it would make all of them, or has to start QEMU anyway. */
export function makesTaps({ facts, devices }: Pick<PlanContext, 'facts' | 'devices'>): boolean {
  if (!isUsable(facts)) return false;
  const answers = Object.values(facts.helper?.bridges ?? {});
  const isCalled =
    Object.values(facts.paths).some((found) => isClosed({ access: 'read' }, found)) ||
    [...chooseFunctions(devices, facts.pci ?? []).values()].some(({ functions }) =>
      functions.some(({ closed }) => closed),
    );
  return isCalled || (answers.length > 0 && answers.every((refusal) => refusal === null));
}

/** Marks block devices that the user may not open himself, and that the setuid helper is asked for. */
export function leaveToHelper(
  descriptors: readonly Descriptor[],
  relaxed: readonly Relaxation[],
  facts: HostFacts,
): readonly Descriptor[] {
  if (!isUsable(facts) || gainsPrivileges(relaxed)) return descriptors;
  return descriptors.map((one) =>
    one.type === 'block' && isClosed(one, facts.paths[one.path]) ? { ...one, opener: 'helper' } : one,
  );
}

/** The call of the helper that gives what is left to it; undefined where nothing is. Its words are in docs/helper.md. */
export function planHelper(
  vm: string,
  descriptors: readonly Descriptor[],
  requirements: readonly Requirement[],
  relaxed: readonly Relaxation[],
  facts: HostFacts,
): PlannedHelper | undefined {
  if (!facts.helper || !isUsable(facts)) return undefined;
  const grants = [
    ...descriptors.flatMap((one) => (one.opener === 'helper' ? grantOfDescriptor(one, facts) : [])),
    ...(gainsPrivileges(relaxed) ? [] : requirements.flatMap((one) => grantOfRequirement(one, facts))),
  ];
  if (grants.length === 0) return undefined;
  const kept = [MONITOR, ...descriptors.filter(({ opener }) => opener !== 'helper').map(({ fd }) => fd)];
  return { program: facts.helper.path, vm, grants, kept };
}

/** The words before QEMU's command line by which the helper becomes it. */
export function helperWords({ program, vm, grants, kept }: PlannedHelper): readonly string[] {
  return [
    program,
    'run',
    `--vm=${vm}`,
    ...grants.map(({ word }) => word),
    ...kept.map((fd) => `--keep-fd=${fd}`),
    '--',
  ];
}

/** Who gives PCI devices back when the guest shuts itself down and no ezvm is there; it waits without any right of root's. */
export function planGivingBack(helper: PlannedHelper | undefined): Sidecar[] {
  if (!helper?.grants.some(({ kind }) => kind === 'pci')) return [];
  const { program, vm } = helper;
  return [{ name: 'give-back', argv: [program, 'release', `--vm=${vm}`, '--wait'], when: 'after' }];
}

/** Adds to what is closed to the user how the helper could open it, where that is not what will be done. */
export function tellOfHelper(
  requirements: readonly Requirement[],
  relaxed: readonly Relaxation[],
  facts: HostFacts,
): Requirement[] {
  const kept = gainsPrivileges(relaxed) && isUsable(facts);
  return requirements.map((one) => {
    const line = one.kind === 'unmet' ? undefined : lineFor(one, facts);
    const help = line === undefined ? undefined : kept ? helpWithBridges(facts) : helpByHelper(line, facts);
    return help === undefined ? one : { ...one, helper: help };
  });
}

/** What QEMU's own bridge helper keeps it from. */
function helpWithBridges(facts: HostFacts): string {
  const refused = Object.entries(facts.helper?.bridges ?? {}).filter(([, refusal]) => refusal !== null);
  const lines = refused.map(([bridge]) => `\`${bridgeLine(bridge, false, facts)}\``);
  return `have ezvm's helper do it, which has to make the tap as well: with ${lines.join(' and ')} in its policy`;
}

/** How the helper would do what a line of its policy says; undefined where it would do it already, and for root. */
export function helpByHelper(line: string, { helper, user }: HostFacts): string | undefined {
  if (user.uid === 0) return undefined;
  if (!helper)
    return `have ezvm's helper do it (sudo ezvm setup helper --apply), with the line \`${line}\` in its policy`;
  return helper.fault && `have ezvm's helper do it, but ${helper.fault.message}: ${helper.fault.help}`;
}

/** The line of the helper's policy that lets this user have taps on a bridge. */
export function bridgeLine(bridge: string, vhost: boolean, facts: HostFacts): string {
  return `allow ${subject(facts)} bridge ${bridge}${vhost ? ' vhost' : ''}`;
}

function lineFor(requirement: Requirement, facts: HostFacts): string | undefined {
  if (requirement.kind === 'path') {
    const { path, access } = requirement;
    return isClosed({ access }, facts.paths[path]) ? blockLine(path, access, facts) : undefined;
  }
  return grantOfRequirement(requirement, facts)[0]?.line;
}

function isUsable({ helper }: HostFacts): boolean {
  return helper !== undefined && helper.fault === undefined;
}

/** What the helper starts may gain no privileges, which QEMU's own bridge helper has to. */
function gainsPrivileges(relaxed: readonly Relaxation[]): boolean {
  return relaxed.some(({ by }) => by === 'setuid-helper');
}

function grantOfDescriptor(descriptor: Descriptor, facts: HostFacts): HelperGrant[] {
  const { fd, path, type, access, direct, vhost, origin } = descriptor;
  // A tap's own word has it opened.
  if (type === 'character') return [];
  if (type === 'tap') {
    const word = `--tap=${fd}:${path}${vhost === undefined ? '' : `:${vhost}`}`;
    return [{ word, what: path, kind: 'tap', line: bridgeLine(path, vhost !== undefined, facts), origin }];
  }
  const mode = `${access === 'write' ? 'rw' : 'ro'}${direct ? '+direct' : ''}`;
  const line = blockLine(path, access, facts);
  return [{ word: `--block=${fd}:${path}:${mode}`, what: path, kind: 'block', line, origin }];
}

/** What the user lacks that the helper does without a descriptor. */
function grantOfRequirement(requirement: Requirement, facts: HostFacts): HelperGrant[] {
  const { origin } = requirement;
  if (requirement.kind === 'vfio') {
    const { device, together } = requirement;
    const found = facts.pci?.find(({ address }) => address === device);
    if (!found || !isGroupClosed(found, together, facts)) return [];
    const line = `allow ${subject(facts)} pci ${device} ${found.id} bind`;
    return [{ word: `--pci=${device}`, what: device, kind: 'pci', line, origin }];
  }
  if (requirement.kind !== 'locked-memory' || (facts.lockable ?? Number.POSITIVE_INFINITY) >= requirement.bytes)
    return [];
  const line = `allow ${subject(facts)} memlock ${Math.ceil(requirement.bytes / 2 ** 20)}M`;
  return [{ word: `--memlock=${requirement.bytes}`, what: LOCKED_MEMORY, kind: 'memlock', line, origin }];
}

/** A group of the IOMMU's is the user's whole or not at all, so that one function of it that is closed makes all of them so. */
function isGroupClosed({ group }: PciFacts, together: readonly string[], { pci = [] }: HostFacts): boolean {
  if (group === undefined) return false;
  return pci.some((one) => one.closed && one.group === group && together.includes(one.address));
}

function blockLine(path: string, access: Descriptor['access'], facts: HostFacts): string {
  return `allow ${subject(facts)} block ${path} ${access === 'write' ? 'rw' : 'ro'}`;
}

/** The helper knows people by /etc/passwd alone, and by names of a plain kind. */
function subject({ user }: HostFacts): string {
  return /^[a-z_][a-z0-9_-]*$/.test(user.name) ? `user:${user.name}` : `uid:${user.uid}`;
}

function isClosed({ access }: Pick<Descriptor, 'access'>, found: PathFacts | undefined): boolean {
  return found?.kind === 'block' && !(found.readable && (access === 'read' || found.writable));
}

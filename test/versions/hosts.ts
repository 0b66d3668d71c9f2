import type { HostFacts } from '../../src/host/facts.ts';
import { readReplies } from '../../src/host/replies.ts';
import type { VmSpec } from '../../src/model/spec.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { targetOf } from '../../src/plan/combine.ts';
import type { Plan, Requirement } from '../../src/plan/plan.ts';
import { buildRequirements } from '../../src/plan/requirements.ts';
import { compareVersions, type QemuOption } from '../../src/qemu/option.ts';
import { checkOptions } from '../../src/qemu/schema.ts';
import { CATALOG, DEVICES } from '../one-device.ts';
import { hostFacts } from '../planned.ts';
import { RECORDINGS, readRecording } from '../qemu/recordings.ts';

/** A laptop with one of the recorded QEMUs. */
export type RecordedHost = (typeof HOSTS)[number];

const LAPTOP = hostFacts('laptop');

export const HOSTS = RECORDINGS.map((recording) => {
  const { qemu, schema } = readReplies(readRecording(recording), recording.name);
  return { ...recording, qemu, schema, facts: { ...LAPTOP, qemu } satisfies HostFacts };
});

/** Those with everything that a build can have, the oldest first. */
const FULL = HOSTS.filter(({ complete }) => complete).toSorted((a, b) =>
  compareVersions(a.qemu.version, b.qemu.version),
);

export interface Case {
  readonly title: string;
  readonly plan: Plan;
}

type Unmet = Requirement & { readonly kind: 'unmet' };

/** What planning makes of VMs on a host, without those that it refuses. */
export function plansOf(specs: readonly { readonly title: string; readonly spec: VmSpec }[], facts: HostFacts): Case[] {
  return specs.flatMap(({ title, spec }) => {
    const { plan, diagnostics } = assemble(spec, CATALOG, facts);
    return diagnostics.length === 0 && !isElsewhere(plan, facts) ? [{ title, plan }] : [];
  });
}

/** What only Macs have. */
const OF_MACS = ['hvf', 'cocoa', 'coreaudio', 'vmnet-shared', 'vmnet-host', 'vmnet-bridged'];

/** For Macs or for other processors, where none of the recordings was made. */
function isElsewhere({ qemu }: Plan, { arch }: HostFacts): boolean {
  return qemu.options.some(({ name, args }) => {
    if (typeof args !== 'object') return false;
    const kind = args['type'] ?? args['driver'] ?? args['accel'];
    const board = DEVICES.find(({ template }) => template.board?.name === kind)?.template.board;
    return OF_MACS.includes(String(kind)) || (name === 'machine' && board !== undefined && board.arch !== arch);
  });
}

/** The plans that planning sees nothing missing for. */
export function servedOf(cases: readonly Case[]): Case[] {
  return cases.filter(({ plan }) => unmetIn(plan).length === 0);
}

/** What planning itself tells that this QEMU lacks. */
function unmetIn({ requirements }: Plan): Unmet[] {
  return requirements.filter((requirement) => requirement.kind === 'unmet');
}

/** How much of it a host serves, in a line for people. */
export function tellServed({ name }: RecordedHost, cases: readonly Case[]): string {
  const lacking = new Set(cases.flatMap(({ plan }) => unmetIn(plan).map(({ message }) => message)));
  return `${name} serves ${servedOf(cases).length} of ${cases.length} plans; refused is: ${[...lacking].toSorted().join('; ')}\n`;
}

/** What QEMU would refuse of plans that planning sees nothing wrong with. */
export function refusedOf(cases: readonly Case[], { schema }: RecordedHost): string[] {
  return firstOf(
    servedOf(cases).flatMap(({ title, plan }) =>
      checkOptions(plan.qemu.options, schema, plan.qemu.argv[0] ?? '').map(({ message }) => ({ title, message })),
    ),
  );
}

/** What is missing because QEMU is too old for it, and is told without the version that brings it. */
export function namelessOf(cases: readonly Case[], host: RecordedHost): string[] {
  return firstOf(
    cases.flatMap(({ title, plan }) =>
      unmetIn(plan)
        .filter(({ code, targets }) => code === 'qemu-lacks' && !couldHave(host, optionsAt(plan, targets)))
        .map(({ message }) => ({ title, message })),
    ),
  );
}

/** What is refused because of QEMU's age, though it has it. */
export function hadOf(cases: readonly Case[], host: RecordedHost): string[] {
  return firstOf(
    cases.flatMap(({ title, plan }) =>
      unmetIn(plan)
        .filter(
          ({ code, message, targets }) => code === 'qemu-too-old' && takes(host, message, optionsAt(plan, targets)),
        )
        .map(({ message }) => ({ title, message })),
    ),
  );
}

function optionsAt({ qemu }: Plan, targets: readonly string[] = []): QemuOption[] {
  return qemu.options.filter((option) => targets.includes(targetOf(option)));
}

/**
 * Whether what is missing is a matter of the build: one with everything, and no newer, has it. Distributions choose
 * displays and sounds; what newer versions have of them shows in the full builds.
 */
function couldHave({ complete, qemu }: RecordedHost, asked: readonly QemuOption[]): boolean {
  if (complete) return false;
  if (asked.every(({ name }) => ['audiodev', 'display'].includes(name))) return true;
  return FULL.filter((host, index) => index === 0 || compareVersions(host.qemu.version, qemu.version) <= 0).some(
    ({ facts }) => buildRequirements(asked, facts).length === 0,
  );
}

/** Recordings list kinds; the properties of most are in few of them, and that two are refused together is in none. */
function takes({ facts, qemu }: RecordedHost, message: string, asked: readonly QemuOption[]): boolean {
  const [, wanted = ''] = /(\S+) needs QEMU/.exec(message) ?? [];
  const kinds = asked.filter(
    ({ args }) =>
      typeof args === 'object' && ['type', 'driver', 'qom-type', 'backend'].some((key) => args[key] === wanted),
  );
  const boards = kinds.filter(({ name }) => name === 'machine').length > 0 ? [wanted] : [];
  return (
    kinds.length > 0 &&
    buildRequirements(kinds, facts).length === 0 &&
    boards.every((board) => Object.hasOwn(qemu.machines, board))
  );
}

/** Each message once, with the case that had it first: one slip in a template shows in hundreds of plans. */
function firstOf(faults: readonly { readonly title: string; readonly message: string }[]): string[] {
  return [...new Map(faults.toReversed().map(({ title, message }) => [message, `${title}: ${message}`])).values()];
}

import { EXIT } from '../../core/diagnostic.ts';
import { shellJoin } from '../../core/quote.ts';
import { formatSize } from '../../core/size.ts';
import type { Plan, Requirement, Step } from '../../plan/plan.ts';
import type { Descriptor, HelperGrant, Relaxation } from '../../plan/planned-qemu.ts';
import { makePlan } from '../pipeline.ts';
import { printable } from '../print/diagnostics.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'plan FILE|NAME',
  summary: 'Tells everything a start would do, in order, and does none of it.',
  example: 'ezvm plan windows-11.yaml',
  flags: { ...PLAN_FLAGS, ...JSON_FLAG },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const { plan } = await makePlan(ref, flags, context);
    context.report(plan.notes);
    context.out(flags['json'] ? `${JSON.stringify(plan, undefined, 2)}\n` : printPlan(plan));
    return EXIT.ok;
  },
};

function printPlan(plan: Plan): string {
  const sidecars = (when: 'before' | 'after'): string[] =>
    plan.sidecars
      .filter((sidecar) => sidecar.when === when)
      .map((sidecar) => `start ${sidecar.name}: ${shellJoin([...(sidecar.wrapper ?? []), ...sidecar.argv])}`);
  const acts = [
    `make the directories ${plan.vm.runDir} and ${plan.vm.stateDir}`,
    ...plan.steps.map(describeStep),
    ...sidecars('before'),
    ...plan.qemu.descriptors.map(describeDescriptor),
    ...(plan.qemu.helper?.grants ?? []).flatMap(describeGrant),
    `start QEMU, paused, ${describeSandbox(plan.qemu.relaxed)}: ${shellJoin([...plan.qemu.wrapper, ...plan.qemu.argv])}`,
    'let the guest run',
    ...sidecars('after'),
    ...plan.guest.map((text) => `leave to you, in the guest: ${text}`),
  ];
  const needs = plan.requirements.map((requirement) => `  - ${describeRequirement(requirement)}`);
  const steps = acts.map((text, index) => `  ${index + 1}. ${text}`);
  return printable(
    ['It must be that', ...needs, `Then, as the user ${plan.user.name} (${plan.user.uid})`, ...steps, ''].join('\n'),
  );
}

function describeStep(step: Step): string {
  if (step.do === 'mkdir') return `make the directory ${step.path}`;
  if (step.do === 'copy') return `copy ${step.from} to ${step.to}, unless that exists`;
  if (step.do === 'memory-file')
    return `make the file ${step.path} of ${formatSize(step.size)}, for you alone and for this run`;
  if (step.do === 'run') return `run ${shellJoin(step.argv)}, unless ${step.makes.to} exists`;
  const { path, format, size, preallocation, backing } = step;
  const what = [
    format,
    size === undefined ? undefined : formatSize(size),
    preallocation === 'off' ? 'sparse' : `preallocation ${preallocation}`,
    backing && `laid over ${backing.path} (${backing.format})`,
  ];
  return `create the disk ${path} (${what.filter((word) => word !== undefined).join(', ')}), unless it exists`;
}

function describeDescriptor({ path, type, access, direct, exclusive, fd, opener }: Descriptor): string {
  if (type === 'tap') return `have the helper make a tap on the bridge ${path}, as QEMU's descriptor ${fd}`;
  const how = [access === 'write' ? 'to write' : 'to read', exclusive && 'alone', direct && "around the host's cache"];
  const who = opener === 'helper' ? 'have the helper open' : 'open';
  return `${who} ${path} ${how.filter(Boolean).join(', ')}, as QEMU's descriptor ${fd}`;
}

/** What the helper does that is no descriptor. */
function describeGrant({ kind, what }: HelperGrant): string[] {
  if (kind === 'pci') return [`have the helper take ${what} from its driver for VFIO, until the VM has ended`];
  return kind === 'memlock' ? ['have the helper raise the limit of locked memory'] : [];
}

function describeSandbox(relaxed: readonly Relaxation[]): string {
  if (relaxed.length === 0) return 'in its whole sandbox';
  if (relaxed.some(({ part }) => part === 'all')) return 'without its sandbox';
  return `in its sandbox less ${relaxed.map(({ part }) => part).join(', ')}`;
}

function describeRequirement(requirement: Requirement): string {
  switch (requirement.kind) {
    case 'program':
      return `the program ${requirement.path ?? requirement.program} is installed`;
    case 'path':
      if (requirement.made) return `${requirement.path} can be written, or created`;
      return `${requirement.path} can be ${requirement.access === 'write' ? 'written' : 'read'}`;
    case 'port':
      return `${requirement.protocol} port ${requirement.port} on ${requirement.host || 'every address'} is free`;
    case 'memory':
      return `${Math.round(requirement.bytes / 2 ** 20)} MiB of memory are free`;
    case 'huge-pages':
      return `${formatSize(requirement.bytes)} are free in pages of ${formatSize(requirement.page)}`;
    case 'enrolled-keys':
      return `${requirement.path}, where it is there, has keys for Secure Boot`;
    case 'tpm-version':
      return `${requirement.path} holds the state of a TPM ${requirement.version}, or of none`;
    case 'session':
      return `there is ${{ screen: 'a graphical session', bus: 'a session bus', terminal: 'a terminal', 'spice-handler': 'a program for SPICE on a socket' }[requirement.wants]} for ${requirement.by}`;
    case 'vfio':
      return `${requirement.device} can be handed over by VFIO`;
    case 'vfio-choice':
      return `${requirement.taken.join(' and ')} is free, or else ${requirement.others.map((one) => one.join(' and ')).join(' or ')}`;
    case 'kvmfr':
      return `${requirement.path} has ${formatSize(requirement.bytes)} of memory`;
    case 'locked-memory':
      return `${Math.round(requirement.bytes / 2 ** 20)} MiB of memory may be locked`;
    case 'unmet':
      return `(not so here) ${requirement.message}`;
  }
}

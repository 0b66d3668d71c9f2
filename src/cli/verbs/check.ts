import { readdirSync } from 'node:fs';
import type { Diagnostic } from '../../core/diagnostic.ts';
import { EXIT, EzvmError } from '../../core/diagnostic.ts';
import { formatOrigin } from '../../core/origin.ts';
import type { HostFacts, QemuSchema } from '../../host/facts.ts';
import type { FactsFile } from '../../host/facts-file.ts';
import { targetOf } from '../../plan/combine.ts';
import { judgeRequirements } from '../../plan/judge.ts';
import type { Plan, Requirement } from '../../plan/plan.ts';
import type { QemuOption } from '../../qemu/option.ts';
import { checkOptions } from '../../qemu/schema.ts';
import type { CliContext } from '../context.ts';
import { makePlan } from '../pipeline.ts';
import { printable } from '../print/diagnostics.ts';
import { type Flags, JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'check FILE|NAME',
  summary: 'Looks for faults in a VM file, and for what this host lacks to start it.',
  example: 'ezvm check windows-11.yaml',
  flags: {
    ...PLAN_FLAGS,
    ...JSON_FLAG,
    untrusted: { type: 'boolean', help: 'instead, list everything in it that reaches outside of the VM' },
  },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    if (flags['untrusted']) return listReach(ref, flags, context);
    let diagnostics: readonly Diagnostic[];
    let exit: number = EXIT.ok;
    try {
      const { plan, facts } = await makePlan(ref, flags, context);
      const elsewhere = flags['host'] !== undefined;
      const schema = elsewhere ? (facts as FactsFile).schema : await schemaHere(facts);
      const missing = elsewhere ? judgeRequirements(plan.requirements, facts) : await lookHere(plan, facts);
      const refused = schema ? checkOptions(untold(plan), schema, plan.qemu.argv[0] ?? '') : [];
      diagnostics = [...plan.notes, ...refused, ...missing];
      if (hasError(missing)) exit = EXIT.host;
      if (hasError(refused)) exit = EXIT.config;
    } catch (error) {
      if (!(error instanceof EzvmError)) throw error;
      diagnostics = error.diagnostics;
      exit = error.exit;
    }
    context.report(diagnostics);
    if (flags['json']) context.out(`${JSON.stringify(diagnostics, undefined, 2)}\n`);
    else if (exit === EXIT.ok) context.err(`${ref}: no faults\n`);
    return exit;
  },
};

/** For a file that somebody else has written: what to look at before it is started. */
async function listReach(ref: string, flags: Flags, context: CliContext): Promise<number> {
  const [{ loadModel }, { findReach }] = await Promise.all([import('../model.ts'), import('../../plan/reach.ts')]);
  const { spec } = await loadModel(ref, flags, context);
  const { plan } = await makePlan(ref, flags, context);
  const found = findReach(plan, spec, namesIn(plan.vm.stateDir));
  if (flags['json']) context.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else
    for (const { kind, what, origin } of found)
      context.out(`${kind.padEnd(9)} ${printable(what)}${origin ? `  (${formatOrigin(origin)})` : ''}\n`);
  if (found.length === 0) context.err(`${ref}: nothing in it reaches outside of the VM\n`);
  return EXIT.ok;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir).toSorted();
  } catch {
    // What cannot be looked at, a VM cannot use either.
    return [];
  }
}

/** What this QEMU lacks altogether is the host's lack, not the configuration's fault, and told once. */
function untold({ qemu, requirements }: Plan): readonly QemuOption[] {
  const told = requirements.flatMap((each) => (each.kind === 'unmet' ? (each.targets ?? []) : []));
  return qemu.options.filter((option) => !told.includes(targetOf(option)));
}

/** What the QEMU of this host takes; another host's may lie at the very same path. */
async function schemaHere(facts: HostFacts): Promise<QemuSchema | undefined> {
  const { loadSchema } = await import('../../host/probe.ts');
  return loadSchema(facts);
}

/** What this host lacks; a VM that runs holds its own ports and disks, and what serves it alone. */
async function lookHere(plan: Plan, { session }: HostFacts): Promise<readonly Diagnostic[]> {
  const [{ preflight }, { findRunning }, { isUp, readState }] = await Promise.all([
    import('../../launch/preflight.ts'),
    import('../../admin/running-note.ts'),
    import('../../admin/state.ts'),
  ]);
  const own =
    isUp(readState(plan.vm.runDir)) || findRunning(plan.vm.stateDir)
      ? {
          requirements: plan.requirements.filter((one) => !isHeld(one)),
          qemu: { ...plan.qemu, descriptors: [] },
          sidecars: plan.sidecars.map((one) => ({ ...one, claims: [] })),
          steps: plan.steps.filter((step) => step.do !== 'memory-file'),
        }
      : {};
  try {
    return await preflight({ ...plan, ...own }, { session });
  } catch (error) {
    if (error instanceof EzvmError) return error.diagnostics;
    throw error;
  }
}

/** What a VM that runs has for itself. */
function isHeld(requirement: Requirement): boolean {
  return requirement.kind === 'port' || (requirement.kind === 'path' && requirement.type === 'image');
}

function hasError(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

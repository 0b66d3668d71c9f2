import { resolve } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { HostFacts, Questions } from '../host/facts.ts';
import { readText } from '../input/read.ts';
import type { Settings } from '../input/settings.ts';
import type { Plan } from '../plan/plan.ts';
import type { CliContext } from './context.ts';
import { readInputs } from './inputs.ts';
import { findKept } from './kept-plan.ts';
import type { Flags } from './verb.ts';

/** Facts with QEMU's whole schema take about a megabyte. */
const MAX_FACTS = 16 * 1024 * 1024;

/** A VM planned for a host. */
export interface Planned {
  readonly plan: Plan;
  readonly facts: HostFacts;
}

/**
 * The whole pipeline up to `plan`. A plan made before is used again when everything that went into it is the same to the
 * letter, because loading the YAML library and planning take longer than all the rest of a start.
 * @throws EzvmError with every fault of the configuration; what the host lacks is in the plan's requirements
 */
export async function makePlan(ref: string, flags: Flags, context: CliContext): Promise<Planned> {
  const inputs = readInputs(ref, flags, context);
  const kept = flags['host'] === undefined ? findKept(inputs, context.build) : undefined;
  if (kept?.before) {
    const { facts, diagnostics } = await findFacts(kept.before.questions, kept.before.settings, flags, context);
    const plan = kept.before.planFor(facts);
    if (plan) return { plan: withNotes(plan, diagnostics), facts };
  }
  const { makeModel, questionsOf, planModel } = await import('./model.ts');
  const model = await makeModel(inputs, context);
  const questions = questionsOf(model.spec);
  const { facts, diagnostics } = await findFacts(questions, model.settings, flags, context);
  const plan = planModel(model, facts);
  kept?.keep({ questions, settings: model.settings, facts, plan });
  return { plan: withNotes(plan, diagnostics), facts };
}

function withNotes(plan: Plan, diagnostics: readonly Diagnostic[]): Plan {
  return { ...plan, notes: [...diagnostics, ...plan.notes] };
}

/** Of whoever wants to know no more than what is always looked at. */
export const NO_QUESTIONS: Questions = { paths: [], interfaces: [], programs: [] };

/** Facts about this host, or those that `--host` names. */
export async function findFacts(
  questions: Questions,
  settings: readonly Settings[],
  flags: Flags,
  context: CliContext,
): Promise<{ facts: HostFacts; diagnostics: readonly Diagnostic[] }> {
  const file = flags['host'];
  if (typeof file === 'string') {
    const { parseFacts } = await import('../host/facts-file.ts');
    return { facts: parseFacts(readText(resolve(context.cwd, file), file, MAX_FACTS), file), diagnostics: [] };
  }
  const { probeHost } = await import('../host/probe.ts');
  const qemu = settings.findLast((each) => each.qemu !== undefined)?.qemu;
  const firmwareDirs = settings.findLast((each) => each.firmwareDirs)?.firmwareDirs;
  return probeHost({
    questions,
    env: context.env,
    settings: {
      programs: Object.assign({}, ...settings.map(({ programs }) => programs)) as Record<string, string>,
      ...(qemu !== undefined && { qemu }),
      ...(firmwareDirs && { firmwareDirs }),
    },
  });
}

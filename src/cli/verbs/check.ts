import type { Diagnostic } from '../../core/diagnostic.ts';
import { EXIT, EzvmError } from '../../core/diagnostic.ts';
import { judgeRequirements } from '../../plan/judge.ts';
import { checkOptions } from '../../qemu/schema.ts';
import { makePlan } from '../pipeline.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'check FILE|NAME',
  summary: 'Looks for faults in a VM file, and for what this host lacks to start it.',
  example: 'ezvm check windows-11.yaml',
  flags: { ...PLAN_FLAGS, ...JSON_FLAG },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    let diagnostics: readonly Diagnostic[];
    let exit: number = EXIT.ok;
    try {
      const { plan, facts } = await makePlan(ref, flags, context);
      const { loadSchema } = await import('../../host/probe.ts');
      const schema = await loadSchema(facts);
      const refused = schema ? checkOptions(plan.qemu.options, schema) : [];
      const elsewhere = flags['host'] !== undefined;
      const { preflight } = await import('../../launch/preflight.ts');
      const missing = elsewhere ? judgeRequirements(plan.requirements, facts) : await preflight(plan);
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

function hasError(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

import { EXIT } from '../../core/diagnostic.ts';
import { shellJoin } from '../../core/quote.ts';
import { ASSUMED_VERSION } from '../../qemu/option.ts';
import { renderOption } from '../../qemu/render.ts';
import { makePlan, type Planned } from '../pipeline.ts';
import { printable } from '../print/diagnostics.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'args FILE|NAME',
  summary: "Prints QEMU's command line: exactly what would run, one option a line, fit for a shell.",
  example: 'ezvm args --pretty windows-11.yaml',
  flags: {
    ...PLAN_FLAGS,
    ...JSON_FLAG,
    pretty: { type: 'boolean', help: 'key=value instead of JSON within options; that runs too' },
  },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const planned = await makePlan(ref, flags, context);
    context.report(planned.plan.notes);
    const style = flags['pretty'] && !flags['json'] ? 'keyval' : 'json';
    const lines = linesOf(planned, style);
    if (flags['json']) {
      const sidecars = planned.plan.sidecars.map(({ name, argv, when }) => ({ name, argv, when }));
      context.out(`${JSON.stringify({ qemu: lines.flat(), sidecars }, undefined, 2)}\n`);
    } else context.out(`${lines.map(shellJoin).join(' \\\n  ')}\n`);
    for (const { fd, path, type } of planned.plan.qemu.descriptors.filter(({ fdset }) => !fdset))
      context.err(
        type === 'tap'
          ? `QEMU wants a tap on the bridge ${path} as its descriptor ${fd}\n`
          : `QEMU wants ${printable(path)} open as its descriptor ${fd}\n`,
      );
    return EXIT.ok;
  },
};

/** The program, then the words of each option. */
function linesOf({ plan, facts }: Planned, style: 'json' | 'keyval'): readonly (readonly string[])[] {
  const version = facts.qemu?.version ?? ASSUMED_VERSION;
  return [[plan.qemu.argv[0] ?? ''], ...plan.qemu.options.map((option) => renderOption(option, style, version))];
}

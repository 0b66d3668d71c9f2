import type { Diagnostic } from '../core/diagnostic.ts';
import { checkGrants, helperSentences } from '../host/helper.ts';
import type { Plan } from '../plan/plan.ts';
import type { HelperGrant, PlannedHelper } from '../plan/planned-qemu.ts';

/** What the helper refuses, each in its own words at the place that asked for it. Changes nothing. */
export async function askHelper({ qemu }: Plan): Promise<Diagnostic[]> {
  const { helper, argv } = qemu;
  if (!helper) return [];
  const { program, grants } = helper;
  const words = grants.map(({ word }) => word);
  const { refused, faults } = await checkGrants(program, words, argv[0] ?? '');
  return [
    ...refused.map(({ grant, sentence }) =>
      helperRefused(
        sentence,
        helper,
        grants.find(({ word }) => word === grant),
      ),
    ),
    ...faults.map((sentence) => helperRefused(sentence, helper, undefined)),
  ];
}

/** The faults in what a start left in QEMU's log, where the helper wrote it: QEMU has not been reached then. */
export function findHelperRefusals(helper: PlannedHelper, lines: readonly string[]): Diagnostic[] {
  // The name of a disk is in those of its partitions.
  const longestFirst = helper.grants.toSorted((a, b) => b.what.length - a.what.length);
  return helperSentences(lines).map((sentence) =>
    helperRefused(
      sentence,
      helper,
      longestFirst.find(({ what }) => sentence.includes(what)),
    ),
  );
}

function helperRefused(sentence: string, { grants }: PlannedHelper, grant: HelperGrant | undefined): Diagnostic {
  // A shared group or a mounted disk is refused whatever the policy says.
  const isPolicys = grant !== undefined && sentence.includes('policy');
  return {
    severity: 'error',
    code: 'helper-refused',
    message: `the helper refuses: ${sentence}`,
    help: isPolicys
      ? `root can allow it in the helper's policy with the line \`${grant.line}\`, or a group of yours can have it: sudo ezvm setup group`
      : 'see what its policy, which root writes, gives you: ezvm-priv check',
    origin: (grant ?? grants[0])?.origin,
  };
}

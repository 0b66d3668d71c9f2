import type { Diagnostic } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { Plan, PlannedHelper } from '../plan/plan.ts';

/** What the helper may take, which looks at every process for open devices. */
const PATIENCE = 40_000;
const PREFIX = 'ezvm-priv: ';

/** What the helper refuses, each in its own words at the place that asked for it. Changes nothing. */
export async function askHelper({ qemu }: Plan): Promise<Diagnostic[]> {
  const { helper, argv } = qemu;
  if (!helper) return [];
  const { spawnSync } = await import('node:child_process');
  const words = ['check', ...helper.grants.map(({ word }) => word), '--', argv[0] ?? ''];
  const { stdout, stderr, error } = spawnSync(helper.program, words, {
    cwd: '/',
    encoding: 'utf8',
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE,
  });
  const lines = (stdout ?? '').split('\n').map((line) => line.split('\t'));
  const refused = lines.flatMap(([verdict, grant, , sentence = '']) =>
    verdict === 'refused'
      ? [helperRefused(sentence, helper.grants.find(({ word }) => grant !== undefined && word.endsWith(grant))?.origin)]
      : [],
  );
  if (refused.length > 0) return refused;
  if (lines.some(([verdict]) => verdict === 'allowed')) return [];
  const said = (stderr ?? '').split('\n').filter((line) => line.startsWith(PREFIX));
  const why = said.length > 0 ? said.map((line) => line.slice(PREFIX.length)) : [error?.message ?? 'it says nothing'];
  return why.map((sentence) => helperRefused(sentence, helper.grants[0]?.origin));
}

/** The faults in what a start left in QEMU's log, where the helper wrote it: QEMU has not been reached then. */
export function findHelperRefusals({ grants }: PlannedHelper, lines: readonly string[]): Diagnostic[] {
  // The name of a disk is in those of its partitions.
  const longestFirst = grants.toSorted((a, b) => b.what.length - a.what.length);
  return lines
    .filter((line) => line.startsWith(PREFIX))
    .map((line) =>
      helperRefused(line.slice(PREFIX.length), longestFirst.find(({ what }) => line.includes(what))?.origin),
    );
}

function helperRefused(sentence: string, origin: Origin | undefined): Diagnostic {
  return {
    severity: 'error',
    code: 'helper-refused',
    message: `the helper refuses: ${sentence}`,
    help: 'what it would give you is in its policy, which root writes; see what is yours: ezvm-priv check',
    origin,
  };
}

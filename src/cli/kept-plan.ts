import { stableHash } from '../core/hash.ts';
import { readCache, writeCache } from '../host/cache.ts';
import type { HostFacts, Questions } from '../host/facts.ts';
import type { Settings } from '../input/settings.ts';
import type { Plan } from '../plan/plan.ts';
import type { Inputs } from './inputs.ts';

/** What was planned before, and all that it depended on beyond its inputs. */
interface KeptPlan {
  /** What to look at on the host, and settings to look with, before the facts can be compared. */
  readonly questions: Questions;
  readonly settings: readonly Settings[];
  readonly facts: HostFacts;
  readonly plan: Plan;
}

/** A place to keep the plan for some inputs, and what is there. */
export interface Keeper {
  readonly before?: Pick<KeptPlan, 'questions' | 'settings'> & {
    /** The kept plan, if it was made for a host with these very facts. */
    readonly planFor: (facts: HostFacts) => Plan | undefined;
  };
  readonly keep: (kept: KeptPlan) => void;
}

/**
 * Planning is a function of the inputs and the host's facts; both are compared whole, so a kept plan is never stale.
 * @param build of the program, whose templates and rules are inputs too
 * @returns undefined where inputs are not all at hand: templates of the user's own are files that are not compared
 */
export function findKept(inputs: Inputs, build: string): Keeper | undefined {
  if (inputs.templates.length > 0) return undefined;
  const { cache } = inputs.dirs;
  const file = `${cache}/plan-${stableHash(inputs.vm.absolute)
    .map((byte) => byte.toString(16))
    .join('')}.json`;
  const key = JSON.stringify([build, inputs]);
  const kept = readCache(file, key) as KeptPlan | undefined;
  return {
    ...(kept && {
      before: {
        questions: kept.questions,
        settings: kept.settings,
        planFor: (facts) => (JSON.stringify(facts) === JSON.stringify(kept.facts) ? kept.plan : undefined),
      },
    }),
    keep: (value) => writeCache(cache, file, key, value),
  };
}

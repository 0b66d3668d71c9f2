import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { type Combination, chipsetsOf, product } from '../matrix.ts';
import { CATALOG } from '../one-device.ts';
import { freePorts } from '../ports.ts';
import { startPaused } from './paused.ts';
import { ABSENT, factsAt, newPlace, QEMUS } from './qemus.ts';
import { replaceAbsent, withSwtpm } from './replaced.ts';
import { furnish } from './stand-ins.ts';
import { requiredOf, versionOf } from './variations.ts';

const HOUR = 60 * 60_000;
/** More than any combination listens on. */
const PORTS = 4;
const BENCHES = availableParallelism();

const ports = await freePorts(PORTS * BENCHES);

/** Where one combination after another is started: no two that run at once have a folder or a port in common. */
class Bench {
  readonly place = newPlace();
  readonly ports: readonly number[];
  readonly combinations: readonly Combination[];
  readonly #facts: HostFacts;

  constructor(index: number, facts: HostFacts) {
    this.ports = ports.slice(PORTS * index, PORTS * (index + 1));
    this.#facts = factsAt(facts, this.place);
    let next = 0;
    const port = (): number => this.ports[next++ % PORTS] ?? 0;
    const surroundings = { place: this.place, version: versionOf(facts), port };
    this.combinations = product(chipsetsOf(facts.arch), (device) => requiredOf(device, surroundings));
  }

  /** What a combination comes to: why it is refused, what it cannot be without, or how it is started. */
  plan(index: number): { refused: string } | { missing: string } | { plan: Plan; standIns: readonly string[] } {
    const { spec } = this.combinations[index] as Combination;
    const emulated = withSwtpm(spec);
    const { plan, diagnostics } = assemble(emulated ?? spec, CATALOG, this.#facts);
    const [fault] = [...diagnostics, ...plan.requirements.filter((each) => each.kind === 'unmet')];
    if (fault) return { refused: fault.message };
    const replaced = replaceAbsent(plan.qemu.options, this.#facts);
    if (typeof replaced === 'string') return { missing: replaced };
    const { options } = replaced;
    const standIns = [...replaced.standIns, ...(emulated ? ["swtpm for the host's TPM"] : [])];
    const version = this.#facts.qemu?.version ?? { major: 10, minor: 0, micro: 0 };
    const argv = [plan.qemu.argv[0] ?? '', ...renderOptions(options, 'json', version)];
    return { plan: { ...plan, qemu: { ...plan.qemu, options, argv } }, standIns };
  }
}

function add(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `\n    ${count}: ${what}`).join('');
}

for (const absent of ABSENT) it.skip(absent);

describe.each(QEMUS)('$title', ({ title, facts }) => {
  it('takes every board with every firmware, TPM, card and display', { timeout: HOUR }, async () => {
    const benches = Array.from({ length: BENCHES }, (_, index) => new Bench(index, facts));
    const [first] = benches as [Bench];
    const refused = new Map<string, number>();
    const missing = new Map<string, number>();
    const replaced = new Map<string, number>();
    // What stands in for two things makes two combinations one.
    const different = new Map<string, number>();
    for (const index of first.combinations.keys()) {
      const found = first.plan(index);
      if ('refused' in found) add(refused, found.refused);
      else if ('missing' in found) add(missing, found.missing);
      else {
        for (const what of found.standIns) add(replaced, what);
        const argv = JSON.stringify(found.plan.qemu.argv);
        if (!different.has(argv)) different.set(argv, index);
      }
    }
    const queue = [...different.values()];
    process.stdout.write(
      [
        `${title}: ${first.combinations.length} combinations, of which ${queue.length} different ones are started`,
        `  refused by design:${listed(refused)}`,
        `  started with a stand-in:${listed(replaced)}`,
        `  left out:${listed(missing)}\n`,
      ].join('\n'),
    );
    const faults: string[] = [];
    const work = async (bench: Bench): Promise<void> => {
      for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
        const found = bench.plan(index);
        if (!('plan' in found)) continue;
        furnish(found.plan, bench.place);
        const { status, complaints } = await startPaused(found.plan);
        if (status !== 'prelaunch' || complaints.length > 0)
          faults.push(`${bench.combinations[index]?.title}: ${complaints.join(' ')} (${status})`);
      }
    };
    await Promise.all(benches.map(work));
    expect(faults.slice(0, 20), `${faults.length} in all`).toEqual([]);
  });
});

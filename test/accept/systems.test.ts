import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QmpClient } from '../../src/qemu/qmp.ts';
import { CHECKOUT } from '../checkout.ts';
import { Program } from '../program.ts';
import { startPaused, type Verdict } from './paused.ts';
import { ABSENT, factsAt, newPlace, QEMUS } from './qemus.ts';
import { furnish, type StandIn, standInsFor } from './stand-ins.ts';
import { FILES, SYSTEMS } from './systems.ts';

const program = new Program();
afterAll(() => program.remove());

/** The absolute paths that examples and cases name, none of which is on this machine. */
const ABSENT_PATHS =
  /(?<![\w/])\/(dev\/vm1|dev\/hugepages|dev\/kvmfr0|home\/alice|srv|etc\/pki|run\/user\/1000|images|boot)(?=[/\s"',}]|$)/gm;

/** What TCG says of a processor's features that it does not have; under KVM they are there. */
const TCG_FEATURES = /warning: TCG doesn't support requested feature: CPUID/;

const ACCEPTED: Verdict = { status: 'prelaunch', complaints: [] };

/** A VM file on this machine. */
interface Furnished {
  readonly place: string;
  readonly file: string;
  /** Settings that put something else in the place of what is not here, and what it is. */
  readonly sets: readonly string[];
  readonly replaced: string;
}

/** The program, planning for this machine with one of its QEMUs. */
class Planner {
  readonly #facts: HostFacts;
  readonly #host: string;

  constructor(facts: HostFacts) {
    const place = newPlace();
    this.#facts = facts;
    this.#host = join(place, 'host.json');
    writeFileSync(this.#host, JSON.stringify(factsAt(facts, place)));
  }

  async plan({ file, sets }: Pick<Furnished, 'file' | 'sets'>): Promise<Plan> {
    const given = sets.flatMap((set) => ['--set', set]);
    const { exit, out, err } = await program.run('plan', '--json', '--host', this.#host, ...given, file);
    if (exit !== 0) throw new Error(err);
    return JSON.parse(out) as Plan;
  }

  /** What `args --pretty` prints, as a shell takes it. */
  async prettyArgv({ file, sets }: Furnished): Promise<string[]> {
    const given = sets.flatMap((set) => ['--set', set]);
    const { out } = await program.run('args', '--pretty', '--host', this.#host, ...given, file);
    return execFileSync('sh', ['-c', `printf '%s\\0' ${out}`], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1);
  }

  /** A VM with all that stands in for what is missing here. */
  async furnish(name: string, text: string): Promise<Furnished> {
    const place = newPlace();
    const file = join(place, `${name}.yaml`);
    const moved = text.replace(ABSENT_PATHS, `${place}/$1`);
    writeFileSync(file, moved);
    const standIns: StandIn[] = moved === text ? [] : [{ what: 'files for disks and devices', sets: [] }];
    const sets = (): string[] => standIns.flatMap((one) => one.sets);
    // One thing missing may hide another.
    for (let round = 0; round < 4; round++) {
      const plan = await this.plan({ file, sets: sets() });
      const more = standInsFor(plan, place, this.#facts);
      const unheard = more.filter(({ what }) => standIns.every((one) => one.what !== what));
      if (unheard.length === 0) break;
      standIns.push(...unheard);
    }
    return { place, file, sets: sets(), replaced: standIns.map(({ what }) => what).join(', ') };
  }
}

/** What a running QEMU has of the values that could become something else on the way. */
async function valuesIn(qmp: QmpClient): Promise<Record<string, unknown>> {
  const read = (path: string, property: string): Promise<unknown> => qmp.execute('qom-get', { path, property });
  const nodes = (await qmp.execute('query-named-block-nodes', { flat: true })) as {
    'node-name': string;
    file: string;
  }[];
  const files = Object.fromEntries(nodes.map((node) => [node['node-name'], node.file]));
  return {
    serials: await Promise.all([0, 1, 2].map((index) => read(`/machine/peripheral/disk${index}-device`, 'serial'))),
    files: ['disk0', 'disk1', 'disk2', 'disk3'].map((name) => files[name]),
    kernel: await read('/machine', 'kernel'),
    append: await read('/machine', 'append'),
    port: await read('/machine/peripheral/usb0', 'hostport'),
  };
}

for (const absent of ABSENT) it.skip(absent);

describe.each(
  await Promise.all(
    QEMUS.map(async ({ title, facts }) => {
      const planner = new Planner(facts);
      const vms = await Promise.all(
        [...SYSTEMS, ...FILES].map(async (each, index) => ({
          title: each.title,
          vm: await planner.furnish(`vm${index}`, each.text),
        })),
      );
      return { title, planner, vms };
    }),
  ),
)('$title', ({ planner, vms }) => {
  describe.concurrent('systems, examples and corners', () => {
    for (const { title, vm } of vms)
      it(`QEMU takes ${title}, in the place of what is not here: ${vm.replaced}`, async () => {
        const plan = await planner.plan(vm);
        furnish(plan, vm.place);
        const tooOld = plan.requirements.some((each) => each.kind === 'unmet' && each.code === 'qemu-too-old');
        for (const argv of [plan.qemu.argv, await planner.prettyArgv(vm)]) {
          const { status, complaints } = await startPaused(plan, argv);
          if (tooOld) {
            expect(status, 'it is not too old').toBeUndefined();
            continue;
          }
          expect(complaints.filter((line) => !TCG_FEATURES.test(line))).toEqual([]);
          expect(status).toBe('prelaunch');
        }
      });
  });

  it('odd characters reach QEMU as the very values, written either way', async () => {
    const text = readFileSync(join(CHECKOUT, 'test/golden/cases/escapes.yaml'), 'utf8');
    const vm = await planner.furnish('escapes', text);
    const { place } = vm;
    const plan = await planner.plan(vm);
    furnish(plan, place);
    for (const argv of [plan.qemu.argv, await planner.prettyArgv(vm)]) {
      let found: Record<string, unknown> = {};
      const verdict = await startPaused(plan, argv, async (qmp) => {
        found = await valuesIn(qmp);
      });
      expect(verdict).toEqual(ACCEPTED);
      expect(found).toEqual({
        serials: ['S,1=2', "-q 'x'", 'ö ü'],
        files: [
          `${place}/images/a, b=c,,d.raw`,
          `${place}/images/it's "$HOME" \`x\` %41\\.qcow2`,
          `${place}/images/größer\nals.raw`,
          `${place}/disc:1, two.iso`,
        ],
        kernel: `${place}/boot/vm, linuz`,
        append: `a="b c" d='e' f=$g,h \\ ö`,
        port: '1,id=x',
      });
    }
  });
});

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { readReplies } from '../../src/host/replies.ts';
import type { VmSpec } from '../../src/model/spec.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { targetOf } from '../../src/plan/combine.ts';
import type { Plan, Requirement } from '../../src/plan/plan.ts';
import { buildRequirements } from '../../src/plan/requirements.ts';
import { compareVersions } from '../../src/qemu/option.ts';
import { checkOptions } from '../../src/qemu/schema.ts';
import { FILES, SYSTEMS } from '../accept/systems.ts';
import { requiredOf, variationsOf, versionOf } from '../accept/variations.ts';
import { CHECKOUT, yamlNames } from '../checkout.ts';
import { product } from '../matrix.ts';
import { CATALOG, DEVICES, specWith } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';
import { Program } from '../program.ts';
import { NO_RECORDINGS, RECORDINGS, readRecording } from '../qemu/recordings.ts';

const CHECKER = join(CHECKOUT, '..', 'shared', 'tools', 'schema-check.mjs');
const LAPTOP = hostFacts('laptop');

const program = new Program();
afterAll(() => program.remove());

interface Case {
  readonly title: string;
  readonly plan: Plan;
}

type Unmet = Requirement & { readonly kind: 'unmet' };

/** A laptop with a recorded QEMU. */
const HOSTS = RECORDINGS.map((recording) => {
  const { qemu, schema } = readReplies(readRecording(recording), recording.name);
  return { ...recording, qemu, schema, facts: { ...LAPTOP, qemu } satisfies HostFacts };
});

/** The oldest recording that has everything a build can have. */
const [fullest] = HOSTS.filter(({ complete }) => complete).toSorted((a, b) =>
  compareVersions(a.qemu.version, b.qemu.version),
);

/** Everything that is started in a real QEMU elsewhere, once with KVM and once without. */
function casesFor(facts: HostFacts): Case[] {
  const surroundings = { place: '/vm', version: versionOf(facts), port: () => 5999 };
  const devices = DEVICES.flatMap((device) =>
    variationsOf(device).map(({ label, values }) => ({
      title: `${device.name}, ${label}`,
      spec: specWith(device, values(surroundings)),
    })),
  );
  const files = [...SYSTEMS, ...FILES].map(({ title, text }) => ({ title, spec: specOf(text, CATALOG).spec }));
  const slow: HostFacts = { ...facts, kvm: { usable: false, reason: 'not here' } };
  return [facts, slow].flatMap((host) => plansOf([...devices, ...files], host));
}

function plansOf(specs: readonly { readonly title: string; readonly spec: VmSpec }[], facts: HostFacts): Case[] {
  return specs.flatMap(({ title, spec }) => {
    const { plan, diagnostics } = assemble(spec, CATALOG, facts);
    // HVF is for Macs, where none of the recordings was made.
    return diagnostics.length === 0 && !plan.qemu.argv.includes('hvf') ? [{ title, plan }] : [];
  });
}

/** What planning itself tells that this QEMU lacks. */
function unmetIn({ requirements }: Plan): Unmet[] {
  return requirements.filter((requirement) => requirement.kind === 'unmet');
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].toSorted();
}

describe('recorded QEMUs', () => {
  if (NO_RECORDINGS) it.skip('are planned for (left out: there are no recordings beside the checkout)');

  describe.each(HOSTS)('$name', ({ name, file, facts, schema, complete, qemu }) => {
    let cases: readonly Case[] = [];
    let served: readonly Case[] = [];
    beforeAll(() => {
      const given = { place: '/vm', version: versionOf(facts), port: () => 5999 };
      const matrix = product((device) => requiredOf(device, given));
      cases = [...casesFor(facts), ...plansOf(matrix, facts)];
      served = cases.filter(({ plan }) => unmetIn(plan).length === 0);
    });
    // Together, the plans for all the recordings would fill the memory of a small machine.
    afterAll(() => {
      cases = [];
      served = [];
    });

    it('serves what is planned for it without a fault, or is known to lack it', () => {
      const lacking = distinct(cases.flatMap(({ plan }) => unmetIn(plan).map(({ message }) => message)));
      process.stdout.write(
        `${name} serves ${served.length} of ${cases.length} plans; refused is: ${lacking.join('; ')}\n`,
      );
      const faults = served.flatMap(({ title, plan }) =>
        checkOptions(plan.qemu.options, schema).map(({ message }) => `${title}: ${message}`),
      );
      expect(distinct(faults)).toEqual([]);
      expect(served.length).toBeGreaterThan(cases.length / 2);
    });

    it('is told the version that brings what it is too old for', () => {
      const nameless = cases.flatMap(({ title, plan }) =>
        unmetIn(plan)
          .filter(({ code, targets = [] }) => code === 'qemu-lacks' && !couldHave(plan, targets))
          .map(({ message }) => `${title}: ${message}`),
      );
      expect(distinct(nameless)).toEqual([]);
    });

    /**
     * Whether what is missing is a matter of this build: one with everything, and no newer, has it. Distributions choose
     * displays and sounds; what newer versions have of them shows in the full builds.
     */
    function couldHave({ qemu: { options } }: Plan, targets: readonly string[]): boolean {
      if (complete) return false;
      const asked = options.filter((option) => targets.includes(targetOf(option)));
      if (asked.every((option) => ['audiodev', 'display'].includes(option.name))) return true;
      return HOSTS.filter((host) => host.complete)
        .filter((host) => host === fullest || compareVersions(host.qemu.version, qemu.version) <= 0)
        .some((host) => buildRequirements(asked, host.facts).length === 0);
    }

    it('is refused nothing for its age that it has', () => {
      const had = cases.flatMap(({ title, plan }) =>
        unmetIn(plan)
          .filter(({ code, targets = [] }) => code === 'qemu-too-old' && takes(plan, targets))
          .map(({ message }) => `${title}: ${message}`),
      );
      expect(distinct(had)).toEqual([]);
    });

    function takes({ qemu: { options } }: Plan, targets: readonly string[]): boolean {
      const asked = options.filter((option) => targets.includes(targetOf(option)));
      const boards = asked.flatMap(({ name: option, args }) =>
        option === 'machine' && typeof args === 'object' && args['type'] !== undefined ? [String(args['type'])] : [],
      );
      return (
        buildRequirements(asked, facts).length === 0 &&
        checkOptions(asked, schema).length === 0 &&
        boards.every((board) => board in qemu.machines)
      );
    }

    it('is planned for by the program, and no example is refused for what QEMU would not take', async () => {
      const host = join(program.dir, `${name}.json`);
      const { out, err } = await program.run('facts', '--schema', '--replies', file);
      expect(err).toBe('');
      writeFileSync(host, out);
      for (const example of yamlNames('etc')) {
        const checked = await program.run('check', '--host', host, join(CHECKOUT, 'etc', `${example}.yaml`));
        // The host may lack something; a configuration that QEMU refuses would be 1.
        expect([0, 3], checked.err).toContain(checked.exit);
      }
    });

    it.skipIf(!existsSync(CHECKER))('is said to serve them by another checker too', () => {
      const list = join(program.dir, `${name}.list.json`);
      // Of the matrix, one in a while: the other checker takes its time.
      const sample = served.filter(({ title }, index) => index % 7 === 0 || !title.startsWith('board '));
      writeFileSync(
        list,
        JSON.stringify(sample.map(({ title, plan }) => ({ name: title, args: plan.qemu.argv.slice(1) }))),
      );
      const { status, stdout, stderr } = spawnSync(process.execPath, [CHECKER, '--replies', file, list], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      });
      expect(status, `${stdout.slice(0, 4000)}${stderr}`).toBe(0);
    });
  });
});

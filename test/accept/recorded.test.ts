import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { readReplies } from '../../src/host/replies.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuSchema } from '../../src/qemu/qapi.ts';
import { checkOptions } from '../../src/qemu/schema.ts';
import { CHECKOUT, yamlNames } from '../checkout.ts';
import { CATALOG, DEVICES, specWith } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';
import { Program } from '../program.ts';
import { FILES, SYSTEMS } from './systems.ts';
import { variationsOf, versionOf } from './variations.ts';

const SHARED = join(CHECKOUT, '..', 'shared');
const CHECKER = join(SHARED, 'tools', 'schema-check.mjs');
const recordings = ['qemu-capabilities', 'qemu-recordings'].flatMap((folder) => {
  const dir = join(SHARED, 'cases', folder);
  return existsSync(dir)
    ? readdirSync(dir)
        .filter((name) => name.endsWith('.replies'))
        .map((name) => ({ name, file: join(dir, name) }))
    : [];
});

let program: Program;
beforeAll(() => {
  program = new Program();
});
afterAll(() => program.remove());

interface Case {
  readonly title: string;
  readonly plan: Plan;
}

/** Everything that is started in a real QEMU elsewhere, planned for another. */
function casesFor(facts: HostFacts): Case[] {
  const surroundings = { place: '/vm', version: versionOf(facts), port: () => 5999 };
  const devices = DEVICES.flatMap((device) =>
    variationsOf(device).map(({ label, values }) => ({
      title: `${device.name}, ${label}`,
      spec: specWith(device, values(surroundings)),
    })),
  );
  const files = [...SYSTEMS, ...FILES].map(({ title, text }) => ({ title, spec: specOf(text, CATALOG).spec }));
  return [...devices, ...files].flatMap(({ title, spec }) => {
    const { plan, diagnostics } = assemble(spec, CATALOG, facts);
    // HVF is for Macs, where none of the recordings was made.
    return diagnostics.length === 0 && !plan.qemu.argv.includes('hvf') ? [{ title, plan }] : [];
  });
}

/** What planning itself tells that this QEMU lacks. */
function unmet(plan: Plan): string[] {
  return plan.requirements.flatMap((requirement) => (requirement.kind === 'unmet' ? [requirement.message] : []));
}

describe('recorded QEMUs', () => {
  if (recordings.length === 0) it.skip('are planned for (left out: there are no recordings beside the checkout)');

  describe.each(recordings)('$name', ({ name, file }) => {
    const { qemu, schema } = readReplies(readFileSync(file, 'utf8'), name);
    const laptop = hostFacts('laptop');
    const hosts: HostFacts[] = [true, false].map((usable) => ({
      ...laptop,
      qemu,
      kvm: usable ? { usable } : { usable, reason: 'not here' },
    }));
    const cases = hosts.flatMap(casesFor);
    const served = cases.filter(({ plan }) => unmet(plan).length === 0);
    const lacking = [...new Set(cases.flatMap(({ plan }) => unmet(plan)))].toSorted();

    it(`serves ${served.length} of ${cases.length} plans without a fault; it is known to lack: ${lacking.join('; ')}`, () => {
      const faults = served.flatMap(({ title, plan }) =>
        faultsOf(plan, schema).map((message) => `${title}: ${message}`),
      );
      expect([...new Set(faults)]).toEqual([]);
      expect(served.length).toBeGreaterThan(cases.length / 2);
    });

    it('is planned for by the program, and no example is refused for what QEMU would not take', async () => {
      const facts = join(program.dir, `${name}.json`);
      const { out, err } = await program.run('facts', '--schema', '--replies', file);
      expect(err).toBe('');
      writeFileSync(facts, out);
      for (const example of yamlNames('etc')) {
        const checked = await program.run('check', '--host', facts, join(CHECKOUT, 'etc', `${example}.yaml`));
        // The host may lack something; a configuration that QEMU refuses would be 1.
        expect([0, 3], checked.err).toContain(checked.exit);
      }
    });

    it.skipIf(!existsSync(CHECKER))('is said to serve them by another checker too', () => {
      const list = join(program.dir, `${name}.list.json`);
      writeFileSync(
        list,
        JSON.stringify(served.map(({ title, plan }) => ({ name: title, args: plan.qemu.argv.slice(1) }))),
      );
      const { status, stdout, stderr } = spawnSync(process.execPath, [CHECKER, '--replies', file, list], {
        encoding: 'utf8',
      });
      expect(status, `${stdout.slice(0, 4000)}${stderr}`).toBe(0);
    });
  });
});

function faultsOf(plan: Plan, schema: QemuSchema): string[] {
  return checkOptions(plan.qemu.options, schema).map(({ message }) => message);
}

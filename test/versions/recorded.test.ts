import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { FILES, SYSTEMS } from '../accept/systems.ts';
import { variationsOf, versionOf } from '../accept/variations.ts';
import { CHECKOUT, yamlNames } from '../checkout.ts';
import { CATALOG, DEVICES, specWith } from '../one-device.ts';
import { specOf } from '../planned.ts';
import { Program } from '../program.ts';
import { NO_RECORDINGS } from '../qemu/recordings.ts';
import { type Case, HOSTS, hadOf, namelessOf, plansOf, refusedOf, servedOf, tellServed } from './hosts.ts';

const CHECKER = join(CHECKOUT, '..', 'shared', 'tools', 'schema-check.mjs');

const program = new Program();
afterAll(() => program.remove());

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

function isMicrovm({ qemu }: Plan): boolean {
  return qemu.options.some(
    ({ name, args }) => name === 'machine' && typeof args === 'object' && args['type'] === 'microvm',
  );
}

describe('recorded QEMUs', () => {
  if (NO_RECORDINGS) it.skip('are planned for (left out: there are no recordings beside the checkout)');

  describe.each(HOSTS)('$name', (host) => {
    let cases: readonly Case[] = [];
    beforeAll(() => {
      cases = casesFor(host.facts);
    });

    it('serves what is planned for it without a fault, or is known to lack it', () => {
      process.stdout.write(tellServed(host, cases));
      expect(refusedOf(cases, host)).toEqual([]);
      expect(servedOf(cases).length).toBeGreaterThan(cases.length / 2);
    });

    it('is told the version that brings what it is too old for', () => {
      expect(namelessOf(cases, host)).toEqual([]);
    });

    it('is refused nothing for its age that it has', () => {
      expect(hadOf(cases, host)).toEqual([]);
    });

    it('is planned for by the program, and no example is refused for what QEMU would not take', async () => {
      const facts = join(program.dir, `${host.name}.json`);
      const { out, err } = await program.run('facts', '--schema', '--replies', host.file);
      expect(err).toBe('');
      writeFileSync(facts, out);
      for (const example of yamlNames('etc')) {
        const checked = await program.run('check', '--host', facts, join(CHECKOUT, 'etc', `${example}.yaml`));
        // The host may lack something; a configuration that QEMU refuses would be 1.
        expect([0, 3], checked.err).toContain(checked.exit);
      }
    });

    it.skipIf(!existsSync(CHECKER))('is said to serve them by another checker too', () => {
      const list = join(program.dir, `${host.name}.list.json`);
      // It knows PCs only.
      const known = servedOf(cases).filter(({ plan }) => !isMicrovm(plan));
      const argvs = known.map(({ title, plan }) => ({ name: title, args: plan.qemu.argv.slice(1) }));
      writeFileSync(list, JSON.stringify(argvs));
      const { status, stdout, stderr } = spawnSync(process.execPath, [CHECKER, '--replies', host.file, list], {
        encoding: 'utf8',
      });
      expect(status, `${stdout.slice(0, 4000)}${stderr}`).toBe(0);
    });
  });
});

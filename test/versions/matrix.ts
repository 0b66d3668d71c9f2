import { beforeAll, describe, expect, it } from 'vitest';
import { requiredOf, versionOf } from '../accept/variations.ts';
import { chipsetsOf, product } from '../matrix.ts';
import { NO_RECORDINGS } from '../qemu/recordings.ts';
import { type Case, HOSTS, hadOf, namelessOf, plansOf, refusedOf, tellServed } from './hosts.ts';

/** How many files share the recordings, so that as many processors plan at once. */
const PARTS = 3;

/** Tests the product of what VMs are made of against each recording of one part, from 0 on. */
export function testMatrix(part: number): void {
  const hosts = HOSTS.filter((_, index) => index % PARTS === part);
  describe('every board with every firmware, TPM, card and display', () => {
    if (NO_RECORDINGS) it.skip('is planned for (left out: there are no recordings beside the checkout)');

    describe.each(hosts)('$name', (host) => {
      let cases: readonly Case[] = [];
      beforeAll(() => {
        const given = { place: '/vm', version: versionOf(host.facts), port: () => 5999 };
        cases = plansOf(
          product(chipsetsOf(host.facts.arch), (device) => requiredOf(device, given)),
          host.facts,
        );
        // The plans for all the recordings together would fill the memory of a small machine.
        return () => {
          cases = [];
        };
      });

      it('is served without a fault, or known to be lacking, by the version that brings it', () => {
        process.stdout.write(tellServed(host, cases));
        expect(cases.length).toBeGreaterThan(1000);
        expect(refusedOf(cases, host)).toEqual([]);
        expect(namelessOf(cases, host)).toEqual([]);
        expect(hadOf(cases, host)).toEqual([]);
      });
    });
  });
}

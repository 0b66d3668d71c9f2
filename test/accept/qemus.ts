import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { type ProbeRequest, probeHost } from '../../src/host/probe.ts';
import { formatVersion } from '../../src/qemu/option.ts';
import { OTHERS } from './others.ts';

/** A QEMU that can be started here; `title` is its version and whose it is. */
export interface Qemu {
  readonly title: string;
  /** This machine with that QEMU, but without KVM: what QEMU takes without it, it takes anywhere. */
  readonly facts: HostFacts;
}

const root = mkdtempSync(join(tmpdir(), 'ezvm-accept-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function probe(owner: string, settings: NonNullable<ProbeRequest['settings']>): Promise<Qemu> {
  const env = { ...process.env, XDG_CACHE_HOME: join(root, 'cache') };
  const { facts, diagnostics } = await probeHost({
    questions: { paths: [], interfaces: [], programs: ['virtiofsd', 'passt'] },
    env,
    settings,
  });
  if (!facts.qemu) throw new Error(`${owner} QEMU: ${diagnostics.map(({ message }) => message).join('; ')}`);
  return {
    title: `QEMU ${formatVersion(facts.qemu.version)} of ${owner}`,
    facts: { ...facts, kvm: { usable: false, reason: 'these tests do without it' } },
  };
}

/** This machine's QEMU and those of other releases, each version once. */
export const QEMUS: readonly Qemu[] = await Promise.all([
  probe('this machine', {}),
  ...OTHERS.flatMap(({ release, binary, firmware }) =>
    binary === undefined || firmware === undefined ? [] : [probe(release, { qemu: binary, firmwareDirs: [firmware] })],
  ),
]);

/** The QEMUs that were not to be had, each with the reason. */
export const ABSENT: readonly string[] = OTHERS.flatMap(({ release, reason }) =>
  reason === undefined ? [] : [`the QEMU of ${release} (left out: ${reason})`],
);

let places = 0;

/** A new directory, gone when the tests are done. */
export function newPlace(): string {
  const place = join(root, String(places++));
  mkdirSync(place);
  return place;
}

/** `facts` with the directories of VMs below `place`. */
export function factsAt(facts: HostFacts, place: string): HostFacts {
  return { ...facts, dirs: { ...facts.dirs, run: join(place, 'run'), state: join(place, 'state') } };
}

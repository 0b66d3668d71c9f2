import type { HostFacts, PathFacts } from '../host/facts.ts';
import type { Descriptor, PlannedHelper, Relaxation } from './plan.ts';

/** QEMU's private monitor, which `launch` connects to its descriptor 3. */
const MONITOR = 3;

/** Marks block devices that the user may not open himself, and that the setuid helper is asked for. */
export function leaveToHelper(
  descriptors: readonly Descriptor[],
  relaxed: readonly Relaxation[],
  facts: HostFacts,
): readonly Descriptor[] {
  // What the helper starts may gain no privileges, which QEMU's own bridge helper has to.
  const isOut = relaxed.some(({ by }) => by === 'setuid-helper');
  if (facts.programs['ezvm-priv'] === undefined || isOut) return descriptors;
  return descriptors.map((one) =>
    one.type === 'block' && isClosed(one, facts.paths[one.path]) ? { ...one, opener: 'helper' } : one,
  );
}

/** The call of the helper that opens what is left to it; undefined where nothing is. Its words are in docs/helper.md. */
export function planHelper(
  vm: string,
  descriptors: readonly Descriptor[],
  facts: HostFacts,
): PlannedHelper | undefined {
  const program = facts.programs['ezvm-priv'];
  const grants = descriptors
    .filter(({ opener }) => opener === 'helper')
    .map(({ fd, path, access, direct, origin }) => {
      const mode = `${access === 'write' ? 'rw' : 'ro'}${direct ? '+direct' : ''}`;
      return { word: `--block=${fd}:${path}:${mode}`, what: path, origin };
    });
  if (program === undefined || grants.length === 0) return undefined;
  const kept = [MONITOR, ...descriptors.filter(({ opener }) => opener !== 'helper').map(({ fd }) => fd)];
  return { program, vm, grants, kept };
}

/** The words before QEMU's command line by which the helper becomes it. */
export function helperWords({ program, vm, grants, kept }: PlannedHelper): readonly string[] {
  return [
    program,
    'run',
    `--vm=${vm}`,
    ...grants.map(({ word }) => word),
    ...kept.map((fd) => `--keep-fd=${fd}`),
    '--',
  ];
}

function isClosed({ access }: Descriptor, found: PathFacts | undefined): boolean {
  return found?.kind === 'block' && !(found.readable && (access === 'read' || found.writable));
}

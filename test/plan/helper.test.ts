import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { HostFacts, PathFacts } from '../../src/host/facts.ts';
import type { PlannedQemu } from '../../src/plan/plan.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const DISK = '/dev/vg/vm';
const OPEN = '/dev/vg/open';
const INSTALLED = { 'ezvm-priv': '/usr/libexec/ezvm-priv' };
const START = ['/usr/libexec/ezvm-priv', 'run', '--vm=vm'];

function make(found: Partial<PathFacts>, more = '', installed: HostFacts['programs'] = INSTALLED): PlannedQemu {
  const closed = { kind: 'block', readable: false, writable: false } as const;
  const paths = { [DISK]: { ...closed, ...found }, [OPEN]: { ...closed, readable: true, writable: true } };
  const text = `template: other\nname: vm\n${more.includes('disks') ? '' : `disks: [${DISK}]\n`}${more}`;
  return planOf(text, CATALOG, { ...LAPTOP, programs: { ...LAPTOP.programs, ...installed }, paths }).qemu;
}

describe('the helper', () => {
  it.each([
    ['a disk that is closed to the user', {}, '', [...START, `--block=10:${DISK}:rw`, '--keep-fd=3', '--']],
    ['one that he may only read', { readable: true }, '', [...START, `--block=10:${DISK}:rw`, '--keep-fd=3', '--']],
    ['none that he may write', { readable: true, writable: true }, '', []],
    ['none that is no block device', { kind: 'missing' as const }, '', []],
    ['none where QEMU has to gain privileges', {}, 'network: [{ type: bridge, bridge: br7 }]\n', []],
  ])('opens %s', (_, found, more, words) => {
    const { wrapper, descriptors } = make(found, more);
    expect(wrapper).toEqual(words);
    expect(descriptors.some(({ opener }) => opener === 'helper')).toBe(words.length > 0);
  });

  it('opens as the disk is used, and passes on what ezvm opens', () => {
    const more = `disks: [${OPEN}, { file: ${DISK}, bus: virtio, cache: none, read-only: on }]\n`;
    expect(make({}, more).wrapper.slice(3)).toEqual([
      `--block=11:${DISK}:ro+direct`,
      '--keep-fd=3',
      '--keep-fd=10',
      '--',
    ]);
  });

  it('is not called where it is not installed', () => {
    expect(make({}, '', {}).helper).toBeUndefined();
  });
});

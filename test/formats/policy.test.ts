import { expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { writePolicy } from '../../src/formats/setup/policy.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const FREE = { kind: 'block', readable: true, writable: true } as const;

function plan(file: string, more = ''): ReturnType<typeof planOf> {
  const paths = { [file]: FREE };
  return planOf(`template: other\ndisks: [{ file: '${file}', bus: virtio${more} }]\n`, CATALOG, { ...LAPTOP, paths });
}

it('lets a person start the VMs and no more, with each disk once', () => {
  const plans = [plan('/dev/vg/a', ', read-only: on'), plan('/dev/vg/a'), plan('/dev/vg/b', ', read-only: on')];
  const { text, unnamed } = writePolicy(plans, { name: 'alice', uid: 1000 }, []);
  expect(text.split('\n').slice(1)).toEqual([
    'allow  user:alice  block    /dev/vg/a  rw',
    'allow  user:alice  block    /dev/vg/b  ro',
    `allow  user:alice  program  ${LAPTOP.qemu?.binary}`,
    '',
  ]);
  expect(unnamed).toEqual([]);
});

it('writes no line for what could be read as another', () => {
  for (const path of ['/dev/vg/*', '/dev/vg/a rw', '/dev/vg/a#'])
    expect(writePolicy([plan(path)], { name: 'dom\\al', uid: 7 }, [])).toMatchObject({
      text: expect.not.stringContaining('block'),
      unnamed: [path],
    });
});

it('lets him have the bridges, the PCI devices with their ids, and the locked memory that these need', () => {
  const vm = 'template: other\nmemory: 2G\nnetwork: [{ type: bridge, bridge: br0 }]\npci: ["0000:01:00.0"]\n';
  const card = { address: '0000:01:00.0', vendor: '0x10de', device: '0x2684', class: '0x030000' };
  const { text } = writePolicy([planOf(vm, CATALOG, LAPTOP)], { name: 'alice', uid: 1000 }, [card]);
  expect(text.split('\n').slice(1)).toEqual([
    'allow  user:alice  bridge   br0',
    'allow  user:alice  memlock  3072M',
    'allow  user:alice  pci      0000:01:00.0  10de:2684  bind',
    `allow  user:alice  program  ${LAPTOP.qemu?.binary}`,
    '',
  ]);
});

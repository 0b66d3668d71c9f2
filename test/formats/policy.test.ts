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
  const { text, unnamed } = writePolicy(plans, { name: 'alice', uid: 1000 }, [], '');
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
    expect(writePolicy([plan(path)], { name: 'dom\\al', uid: 7 }, [], '')).toMatchObject({
      text: expect.not.stringContaining('block'),
      unnamed: [path],
    });
});

it('lets him have the bridges, the PCI devices with their ids, and the locked memory that these need', () => {
  const vm =
    'template: other\nmemory: 2G\nnetwork: [{ type: bridge, bridge: br0, vhost: on }]\npci: ["0000:01:00.0"]\n';
  const card = { address: '0000:01:00.0', vendor: '0x10de', device: '0x2684', class: '0x030000' };
  const slow = 'template: other\nnetwork: [{ type: bridge, bridge: br1 }]\n';
  const plans = [vm, slow].map((each) => planOf(each, CATALOG, LAPTOP));
  const { text } = writePolicy(plans, { name: 'alice', uid: 1000 }, [card], '');
  expect(text.split('\n').slice(1)).toEqual([
    'allow  user:alice  bridge   br0  vhost',
    'allow  user:alice  bridge   br1',
    'allow  user:alice  memlock  3072M',
    'allow  user:alice  pci      0000:01:00.0  10de:2684  bind',
    `allow  user:alice  program  ${LAPTOP.qemu?.binary}`,
    '',
  ]);
});

it('leaves to others what they have, and the person no more than is wanted now', () => {
  const alice = { name: 'alice', uid: 1000 };
  const first = writePolicy([plan('/dev/vg/a')], alice, [], '').text;
  const both = writePolicy([plan('/dev/vg/b')], { name: 'bob', uid: 1001 }, [], first).text;
  expect(both.split('\n').filter((line) => line.includes('block'))).toEqual([
    'allow  user:alice  block    /dev/vg/a  rw',
    'allow  user:bob  block    /dev/vg/b  rw',
  ]);
  const anew = writePolicy([plan('/dev/vg/c')], alice, [], both).text;
  expect(anew.split('\n').filter((line) => line.includes('block'))).toEqual([
    'allow  user:bob  block    /dev/vg/b  rw',
    'allow  user:alice  block    /dev/vg/c  rw',
  ]);
});

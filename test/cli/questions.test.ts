import { expect, it } from 'vitest';
import { questionsOf } from '../../src/cli/model.ts';
import { CATALOG } from '../one-device.ts';
import { specOf } from '../planned.ts';

it('of the host are asked about every path and interface that a VM names', () => {
  const text = [
    'template: linux',
    'firmware: { code: CODE.fd, vars: VARS.fd }',
    'disks: [{ file: a.qcow2, backing: b.raw }]',
    'network: [{ type: bridge, bridge: br0 }]',
    'display: { type: looking-glass, device: /dev/shm/x }',
    '',
  ].join('\n');
  const { paths, interfaces } = questionsOf(specOf(text, CATALOG).spec);
  expect(paths).toEqual(
    expect.arrayContaining(['/vm/CODE.fd', '/vm/VARS.fd', '/vm/a.qcow2', '/vm/b.raw', '/dev/shm/x']),
  );
  expect(interfaces).toEqual(['br0']);
});

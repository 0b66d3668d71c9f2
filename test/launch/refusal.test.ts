import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findHelperRefusals } from '../../src/launch/helper.ts';
import { findOrigin } from '../../src/launch/refusal.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab } from './plan-builder.ts';

const at = (line: number) => ({ file: 'vm.yaml', line, column: 1 });

let lab: Lab;
let plan: Plan;
beforeAll(() => {
  lab = makeLab();
  plan = buildPlan(lab, {
    options: [
      { name: 'device', args: { driver: 'e1000', id: 'net0' }, origin: at(1) },
      { name: 'device', args: { driver: 'e1000', id: 'net01' }, origin: at(2) },
      { name: 'enable-sync-profile', args: true, origin: at(3) },
      { name: 'blockdev', args: { driver: 'file', 'node-name': 'disk0', filename: '/a: b' }, origin: at(4) },
      { name: 'cpu', args: 'none', origin: at(5) },
      { name: 'k', args: 'xx' },
    ],
  });
});
afterAll(() => lab.sweep());

it('places what the helper refuses where it was asked for', () => {
  const grants = ['/dev/sda', '/dev/sda1'].map(
    (what, index) => ({ word: '', what, kind: 'block', line: '', origin: at(index + 1) }) as const,
  );
  const lines = ['ezvm-priv: /dev/sda1 is mounted; unmount it', 'ezvm-priv: /dev/sda is gone', 'other'];
  expect(findHelperRefusals({ program: '', vm: 'vm', kept: [], grants }, lines)).toEqual([
    expect.objectContaining({ message: 'the helper refuses: /dev/sda1 is mounted; unmount it', origin: at(2) }),
    expect.objectContaining({ message: 'the helper refuses: /dev/sda is gone', origin: at(1) }),
  ]);
});

describe('findOrigin', () => {
  it.each([
    ['-device {"driver":"e1000","id":"net01"}: no', 2],
    ['-device {"driver":"e1000","id":"net0"}: no', 1],
    ['-enable-sync-profile: no', 3],
    [`-blockdev {"driver":"file","node-name":"disk0","filename":"/a: b"}: Could not open '/a: b'`, 4],
    ['-cpu none: no', 5],
    ['-k xx: no such keymap', undefined],
    ["Device 'net01' could not be initialized", 2],
    ["Node 'disk0' is busy", 4],
    ["unable to find CPU model 'none'", undefined],
    ['out of memory', undefined],
  ])('of %s is line %s', (line, expected) => {
    expect(findOrigin(plan, line)?.line).toBe(expected);
  });

  it('gives nothing rather than something wrong when argv is not made of the options', () => {
    const other = { ...plan, qemu: { ...plan.qemu, argv: ['qemu', '-x', ...plan.qemu.argv.slice(1)] } };
    expect(findOrigin(other, '-cpu none: no')).toBeUndefined();
  });
});

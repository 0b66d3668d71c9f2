import { describe, expect, it } from 'vitest';
import { formatOrigin } from '../../src/core/origin.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

function assembled(disks: string) {
  const { spec, diagnostics } = specOf(`template: linux\nname: vm\ndisks:\n${disks}`, CATALOG);
  expect(diagnostics).toEqual([]);
  return assemble(spec, CATALOG, hostFacts('laptop'));
}

function faults(disks: string): string[] {
  return assembled(disks).diagnostics.map(
    ({ origin, code, message }) => `${origin && formatOrigin(origin)} ${code} ${message}`,
  );
}

describe('limits of a throttle-group', () => {
  it('are given by one of its disks and hold for all', () => {
    const { plan, diagnostics } = assembled(
      '  - { file: /a, throttle-group: slow }\n  - { file: /b, throttle-group: slow, bps-total: 1M }\n  - { file: /c, bps-total: 2M }\n',
    );
    expect(diagnostics).toEqual([]);
    const objects = plan.qemu.options.flatMap(({ name, args }) =>
      name === 'object' && typeof args === 'object' && args['qom-type'] === 'throttle-group' ? [args] : [],
    );
    expect(objects).toEqual([
      { 'qom-type': 'throttle-group', id: 'limits-slow', limits: { 'bps-total': 2 ** 20 } },
      { 'qom-type': 'throttle-group', id: 'disk2-limits', limits: { 'bps-total': 2 ** 21 } },
    ]);
    const nodes = plan.qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['driver'] === 'throttle' ? [`${args['file']} ${args['throttle-group']}`] : [],
    );
    expect(nodes).toEqual(['disk0 limits-slow', 'disk1 limits-slow', 'disk2 disk2-limits']);
  });

  it('may be given twice, and not in two ways', () => {
    expect(
      faults(
        '  - { file: /a, throttle-group: slow, bps-read: 1M }\n  - { file: /b, throttle-group: slow, bps-read: 1M }\n',
      ),
    ).toEqual([]);
    expect(
      faults(
        '  - { file: /a, throttle-group: slow, bps-read: 1M }\n  - { file: /b, throttle-group: slow, bps-read: 2M }\n',
      ),
    ).toEqual([
      'vm.yaml:5:5 option-conflict -object limits is wanted as {"bps-read":2097152} here and as {"bps-read":1048576} at vm.yaml:4:5',
    ]);
  });

  it('are given by some disk', () => {
    expect(faults('  - { file: /a, throttle-group: slow }\n  - { file: /b, throttle-group: slow }\n')).toEqual([
      'vm.yaml:4:5 setting-useless no disk of the throttle-group slow gives it limits',
    ]);
  });
});

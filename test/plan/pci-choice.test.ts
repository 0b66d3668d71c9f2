import { describe, expect, it } from 'vitest';
import { formatOrigin } from '../../src/core/origin.ts';
import { gatherNeeds } from '../../src/formats/setup/needs.ts';
import type { HostFacts, PciFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');

function host(pci: readonly (readonly [address: string, id: string, fault?: string])[]): HostFacts {
  return {
    ...LAPTOP,
    pci: pci.map(([address, id, fault]): PciFacts => ({ address, id, ...(fault !== undefined && { fault }) })),
  };
}

const TWO_CARDS = host([
  ['0000:03:00.0', '10de:2684'],
  ['0000:03:00.1', '10de:22ba'],
  ['0000:04:00.0', '10de:2704', 'its driver has it'],
  ['0000:04:00.1', '10de:22ba', 'its driver has it'],
]);

function plan(pci: string, facts: HostFacts): Plan {
  return planOf(`template: linux\nname: vm\npci: ${pci}\n`, CATALOG, facts);
}

function handed({ qemu }: Plan): unknown[] {
  return qemu.options.flatMap(({ args }) =>
    typeof args === 'object' && args['driver'] === 'vfio-pci' ? [`${args['id']} ${args['host']}`] : [],
  );
}

function unmet({ requirements }: Plan): string[] {
  return requirements.flatMap((one) =>
    one.kind === 'unmet' ? [`${one.origin && formatOrigin(one.origin)} ${one.code} ${one.message}; ${one.help}`] : [],
  );
}

function notes({ notes }: Plan): string[] {
  return notes.flatMap(({ code, message, help }) => (code === 'pci-chosen' ? [`${message} (${help})`] : []));
}

describe('a device that is handed over', () => {
  it('may be named by vendor and device, or as all functions of a slot', () => {
    expect(handed(plan('["10de:2684", "0000:04:00"]', TWO_CARDS))).toEqual([
      'pci0.0 0000:03:00.0',
      'pci1.0 0000:04:00.0',
      'pci1.1 0000:04:00.1',
    ]);
  });

  it('has the sound of its own slot, where another card has the same', () => {
    expect(handed(plan('[{ pci: ["04:00.0", "10de:22BA"] }]', TWO_CARDS))).toEqual([
      'pci0.0 0000:04:00.0',
      'pci0.1 0000:04:00.1',
    ]);
  });

  it('is asked for by address where its name is that of several', () => {
    const made = plan('[{ pci: "10de:22ba" }]', TWO_CARDS);
    expect(handed(made)).toEqual([]);
    expect(unmet(made)).toEqual([
      'vm.yaml:3:14 pci-ambiguous pci0.pci: 10de:22ba is 0000:03:00.1 as well as 0000:04:00.1; write the address of the one you mean, or `take: first-free` for whichever is free',
    ]);
  });

  it('that is absent is told, with what there is of the same maker', () => {
    expect(unmet(plan('["10de:1111", "1022:1111"]', TWO_CARDS))).toEqual([
      'vm.yaml:3:7 pci-missing pci0.pci: there is no PCI device 10de:1111; of the same maker there is 10de:2684 at 0000:03:00.0, 10de:22ba at 0000:03:00.1, 10de:2704 at 0000:04:00.0, 10de:22ba at 0000:04:00.1',
      'vm.yaml:3:20 pci-missing pci1.pci: there is no PCI device 1022:1111; see the ids and addresses of your devices: lspci -Dnn',
    ]);
  });

  it('needs to be looked for on the host that it is on', () => {
    const { pci, ...unlooked } = TWO_CARDS;
    expect(pci).toHaveLength(4);
    expect(handed(plan('["0000:03:00.0"]', unlooked))).toEqual(['pci0.0 0000:03:00.0']);
    expect(unmet(plan('["0000:03:00.0"]', unlooked))).toEqual([]);
    expect(unmet(plan('["10de:2684"]', unlooked))).toEqual([
      'vm.yaml:3:7 pci-unknown pci0.pci: nothing is known here about PCI devices; make the facts anew, where they are: ezvm facts',
    ]);
  });
});

describe('the first free of several', () => {
  const FUNCTIONS = host([
    ['0000:07:10.0', '8086:1565', 'another VM has it'],
    ['0000:07:10.2', '8086:1565'],
    ['0000:07:10.4', '8086:1565'],
    ['0000:09:00.0', '8086:1521'],
  ]);

  it('is taken, and it is told why none before it was', () => {
    const made = plan('[{ pci: ["0000:06:00.0", "8086:1565", "8086:1521"], take: first-free }]', FUNCTIONS);
    expect(handed(made)).toEqual(['pci0.0 0000:07:10.2']);
    expect(notes(made)).toEqual([
      'pci0.pci: 0000:07:10.2 is taken, of 5 (not free: there is no PCI device 0000:06:00.0; another VM has it)',
    ]);
    expect(made.requirements).toContainEqual(
      expect.objectContaining({
        kind: 'vfio-choice',
        taken: ['0000:07:10.2'],
        others: [['0000:06:00.0'], ['0000:07:10.0'], ['0000:07:10.4'], ['0000:09:00.0']],
      }),
    );
  });

  it('is another for each device of the VM, and none that is named outright', () => {
    const pool = '{ pci: "8086:1565", take: first-free }';
    expect(handed(plan(`[${pool}, ${pool}]`, FUNCTIONS))).toEqual(['pci0.0 0000:07:10.2', 'pci1.0 0000:07:10.4']);
    expect(handed(plan(`[${pool}, "0000:07:10.2"]`, FUNCTIONS))).toEqual([
      'pci0.0 0000:07:10.4',
      'pci1.0 0000:07:10.2',
    ]);
    const { spec } = specOf(`template: linux\nname: vm\npci: [${pool}, ${pool}, ${pool}, ${pool}]\n`, CATALOG);
    expect(spec.devices).not.toEqual([]);
    expect(() => plan(`[${pool}, ${pool}, ${pool}, ${pool}]`, FUNCTIONS)).toThrow('handed 0000:07:10.0 twice');
  });

  it('leaves the others to be prepared as well', () => {
    const made = plan('[{ pci: "8086:1565", take: first-free }]', FUNCTIONS);
    expect(gatherNeeds([made]).pci).toEqual(['0000:07:10.0', '0000:07:10.2', '0000:07:10.4']);
  });

  it('has all functions of a slot, and only where all are free', () => {
    const made = plan('[{ pci: ["0000:04:00", "0000:03:00"], take: first-free }]', TWO_CARDS);
    expect(handed(made)).toEqual(['pci0.0 0000:03:00.0', 'pci0.1 0000:03:00.1']);
  });

  it('is one that the helper could lend, where none is free', () => {
    const facts: HostFacts = {
      ...LAPTOP,
      pci: [
        { address: '0000:07:10.0', id: '8086:1565', fault: 'another VM has it' },
        { address: '0000:07:10.2', id: '8086:1565', fault: "the host's driver has it", closed: true },
      ],
    };
    expect(handed(plan('[{ pci: "8086:1565", take: first-free }]', facts))).toEqual(['pci0.0 0000:07:10.2']);
  });

  it('is the first there is where none is free, which a start then refuses', () => {
    const made = plan('[{ pci: ["0000:04:00", "0000:05:00.0"], take: first-free }]', TWO_CARDS);
    expect(handed(made)).toEqual(['pci0.0 0000:04:00.0', 'pci0.1 0000:04:00.1']);
    expect(notes(made)).toEqual([]);
    expect(unmet(made)).toEqual([]);
    expect(made.requirements.map(({ kind }) => kind)).toContain('vfio-choice');
  });
});

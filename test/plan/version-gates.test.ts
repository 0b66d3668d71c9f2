import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import { stackTemplates } from '../../src/input/templates.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { folderTemplates } from '../checkout.ts';
import { textTemplates } from '../model/layered.ts';
import { hostFacts, specOf } from '../planned.ts';

const GATED = {
  'devices/rng/gated.yaml': [
    'summary: A device that newer versions know more of',
    'emit:',
    '  - device: { driver: virtio-rng-pci, id: old }',
    '  - device: { driver: virtio-rng-pci, id: new }',
    '    needs: { qemu: ">=8.1", otherwise: omit }',
    '  - device: { driver: virtio-rng-pci, id: must }',
    '    needs: { qemu: ">= 8.0.3" }',
  ].join('\n'),
  'devices/rng/values.yaml': [
    'summary: A device with values that newer versions know',
    'params:',
    '  model: { type: enum, of: [old, new, newer], default: old, summary: x, needs: { new: { qemu: ">=8.1" }, newer: { qemu: ">=9", otherwise: old } } }',
    '  fast: { type: bool, default: false, summary: x, needs: { on: { qemu: ">=8.1", otherwise: off } } }',
    '  limit: { type: int, summary: x, needs: { set: { qemu: ">=8.1", otherwise: omit } } }',
    'let:',
    '  driver: { by: model, old: virtio-rng-pci, new: virtio-rng-new, newer: virtio-rng-newer }',
    'emit:',
    '  - device: { driver: "${driver}", id: rng, fast: "${fast}", limit: "${limit}" }',
  ].join('\n'),
  'devices/rng/boards.yaml': [
    'summary: A device with values that PCs know',
    'params:',
    '  model: { type: enum, of: [old, new], default: old, summary: x, needs: { new: { board: x86, otherwise: old } } }',
    '  fast: { type: bool, default: false, summary: x, needs: { on: { board: x86, otherwise: off } } }',
    '  limit: { type: int, summary: x, needs: { set: { board: x86, otherwise: omit } } }',
    'let:',
    '  driver: { by: model, old: virtio-rng-pci, new: virtio-rng-new }',
    'emit:',
    '  - device: { driver: "${driver}", id: rng, fast: "${fast}", limit: "${limit}" }',
  ].join('\n'),
  'devices/rng/omitted.yaml': [
    'summary: A device that a VM can be without',
    'needs: { qemu: ">=9", otherwise: omit }',
    'emit:',
    '  - device: { driver: virtio-rng-pci, id: rng }',
  ].join('\n'),
  'devices/rng/newest.yaml':
    'summary: A device of new versions only\nneeds: { qemu: ">=9" }\nemit:\n  - device: { driver: virtio-rng-pci, id: rng }\n',
};

const CATALOG = new Catalog(stackTemplates([textTemplates(GATED), folderTemplates()]));

function planFor(vm: string, text: string): Plan {
  const [major = 0, minor = 0, micro = 0] = text.split('.').map(Number);
  const host = hostFacts('laptop');
  const facts: HostFacts = { ...host, ...(host.qemu && { qemu: { ...host.qemu, version: { major, minor, micro } } }) };
  const { spec, diagnostics } = specOf(vm, CATALOG);
  expect(diagnostics).toEqual([]);
  return assemble(spec, CATALOG, facts).plan;
}

function ids({ qemu }: Plan): unknown[] {
  return qemu.options.flatMap(({ args }) =>
    typeof args === 'object' && args['driver'] === 'virtio-rng-pci' ? [args['id']] : [],
  );
}

function unmet({ requirements }: Plan): string[] {
  return requirements.flatMap((each) => (each.kind === 'unmet' && each.code === 'qemu-too-old' ? [each.message] : []));
}

describe('what needs a newer QEMU', () => {
  it.each([
    ['10.0.0', ['old', 'new', 'must'], []],
    ['8.1.0', ['old', 'new', 'must'], []],
    ['8.0.9', ['old', 'must'], []],
    ['8.0.3', ['old', 'must'], []],
    ['8.0.2', ['old', 'must'], ['rng: -device needs QEMU 8.0.3 or newer; this is 8.0.2']],
    ['7.2.22', ['old', 'must'], ['rng: -device needs QEMU 8.0.3 or newer; this is 7.2.22']],
  ])('is judged by version %s', (version, there, refused) => {
    const plan = planFor('rng: gated\n', version);
    expect(ids(plan)).toEqual(there);
    expect(unmet(plan)).toEqual(refused);
    const left = plan.notes.filter(({ code }) => code === 'qemu-too-old');
    expect(left.map(({ message }) => message)).toEqual(
      there.includes('new') ? [] : [`rng: -device needs QEMU 8.1 or newer; this is ${version}; left out`],
    );
    for (const { origin } of left) expect(origin).toEqual({ file: 'vm.yaml', line: 1, column: 6 });
  });

  it('may be a device as a whole', () => {
    expect(unmet(planFor('rng: newest\n', '8.2.0'))).toEqual(['rng: newest needs QEMU 9 or newer; this is 8.2.0']);
    expect(unmet(planFor('rng: newest\n', '9.0.0'))).toEqual([]);
  });

  it('may be a device that a VM can be without', () => {
    const old = planFor('rng: omitted\n', '8.2.0');
    expect(ids(old)).toEqual([]);
    expect(unmet(old)).toEqual([]);
    expect(left(old)).toEqual(['rng: omitted needs QEMU 9 or newer; this is 8.2.0; left out']);
    expect(ids(planFor('rng: omitted\n', '9.0.0'))).toEqual(['rng']);
  });

  it.each([
    ['model: new', { driver: 'virtio-rng-new' }, ['rng: model new needs QEMU 8.1 or newer; this is 8.0.0'], []],
    [
      'model: newer',
      { driver: 'virtio-rng-pci' },
      [],
      ['rng: model newer needs QEMU 9 or newer; this is 8.0.0; it gets old instead'],
    ],
    [
      'fast: on',
      { driver: 'virtio-rng-pci', fast: false },
      [],
      ['rng: fast on needs QEMU 8.1 or newer; this is 8.0.0; it gets off instead'],
    ],
    ['limit: 3', { driver: 'virtio-rng-pci' }, [], ['rng: limit needs QEMU 8.1 or newer; this is 8.0.0; left out']],
    ['model: old', { driver: 'virtio-rng-pci' }, [], []],
  ])('may be a value: %s', (given, args, refused, noted) => {
    const plan = planFor(`rng: { type: values, ${given} }\n`, '8.0.0');
    const device = plan.qemu.options.find((option) => typeof option.args === 'object' && option.args['id'] === 'rng');
    expect(device?.args).toEqual({ fast: false, ...args, id: 'rng' });
    expect(unmet(plan)).toEqual(refused);
    expect(left(plan)).toEqual(noted);
    const newest = planFor(`rng: { type: values, ${given} }\n`, '10.0.0');
    expect([...unmet(newest), ...left(newest)]).toEqual([]);
  });

  it('is told once, whatever else this QEMU says of it', () => {
    const { requirements } = planFor('rng: { type: values, model: new }\n', '8.0.0');
    const told = requirements.filter((each) => each.kind === 'unmet');
    expect(told).toEqual([expect.objectContaining({ code: 'qemu-too-old', targets: ['device:rng'] })]);
  });
});

function left({ notes }: Plan): string[] {
  return notes.flatMap(({ code, message }) => (code === 'qemu-too-old' ? [message] : []));
}

describe('what needs another board', () => {
  const device = (machine: string) => {
    const text = `template: none\nmachine: ${machine}\nrng: { type: boards, model: new, fast: on, limit: 3 }\n`;
    const { qemu, notes } = planFor(text, '10.0.0');
    const option = qemu.options.find(({ args }) => typeof args === 'object' && args['id'] === 'rng');
    return {
      args: option?.args,
      notes: notes.filter(({ code }) => code === 'board-lacks').map(({ message }) => message),
    };
  };

  it('is there on that board', () => {
    expect(device('q35')).toEqual({ args: { driver: 'virtio-rng-new', id: 'rng', fast: true, limit: 3 }, notes: [] });
  });

  it('is left out or replaced on another, as the template says', () => {
    expect(device('virt')).toEqual({
      args: { driver: 'virtio-rng-pci', id: 'rng', fast: false },
      notes: [
        'rng: model new does not go with the board virt, which has no x86; it gets old instead',
        'rng: fast on does not go with the board virt, which has no x86; it gets off instead',
        'rng: limit does not go with the board virt, which has no x86; left out',
      ],
    });
  });
});

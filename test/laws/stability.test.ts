import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { folderTemplates } from '../checkout.ts';
import { DEVICES } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

const catalog = new Catalog(folderTemplates());
const facts = hostFacts('laptop');

/** What a guest, or an administrator, knows a device by. */
const IDENTITY = [
  'driver',
  'bus',
  'addr',
  'port',
  'chassis',
  'scsi-id',
  'device_id',
  'cad',
  'nr',
  'mac',
  'serial',
  'drive',
  'netdev',
];

/** Every device and back-end by its id, with what must stay as it is. */
function identities(plan: Plan): Map<string, string> {
  return new Map(
    plan.qemu.options.flatMap(({ name, args }): [string, string][] => {
      if (typeof args !== 'object') return [];
      const id = args['id'] ?? args['node-name'];
      if (id === undefined) return [];
      return [[`${name} ${id}`, JSON.stringify(IDENTITY.map((key) => args[key] ?? null))]];
    }),
  );
}

/** The lines of a VM file, one device each; any subset of them is a VM. */
const SINGLES = [
  'tpm: swtpm',
  'rng: none',
  'balloon: none',
  'audio: ac97',
  'serial: log',
  'agent: none',
  'gpu: qxl',
  'display: looking-glass',
  'display: spice',
  'smbios: { product: X }',
  'boot: { menu: on }',
];

/** What a disk is made of, for each type there is. */
const MADE_OF: { readonly [type: string]: (index: number) => string } = {
  disk: (index) => `file: /images/${index}.raw`,
  lvm: (index) => `vg: vm1, lv: disk${index}`,
  nbd: (index) => `path: /run/${index}.sock`,
  'nbd-tcp': (index) => `host: server${index}`,
  iscsi: (index) => `portal: 192.168.1.5, target: iqn.x, lun: ${index}`,
  vvfat: (index) => `dir: /folders/${index}, read-only: off`,
  floppy: (index) => `file: /images/${index}.img`,
  cdrom: (index) => (index % 2 === 0 ? `file: /images/${index}.iso` : 'serial: EMPTY'),
};

const drives: fc.Arbitrary<Drive> = fc.oneof(
  ...DEVICES.filter(({ section }) => section.name === 'disks').map(({ template: { type, params } }) =>
    fc.record({
      type: fc.constant(type),
      bus: fc.constantFrom(...((params['bus']?.of ?? ['']) as string[])),
      more: fc.constantFrom(...(params['iothread'] ? ['', ', bps-total: 100M'] : [''])),
    }),
  ),
);
const card = fc.record({ model: fc.constantFrom('virtio', 'e1000e', 'vmxnet3') });

interface Drive {
  readonly type: string;
  readonly bus: string;
  readonly more: string;
}

interface Machine {
  readonly singles: readonly string[];
  readonly disks: readonly (readonly [number, Drive])[];
  readonly cards: readonly (readonly [number, { model: string }])[];
  readonly usb: readonly (readonly [number, string])[];
  readonly pci: readonly number[];
}

const machines: fc.Arbitrary<Machine> = fc.record({
  singles: fc.uniqueArray(fc.constantFrom(...SINGLES), { selector: (line) => line.split(':')[0], maxLength: 8 }),
  disks: fc.uniqueArray(
    fc.tuple(fc.nat(3), drives).filter(([index, { type }]) => index < 2 || type !== 'floppy'),
    { selector: ([index]) => index, maxLength: 6 },
  ),
  cards: fc.uniqueArray(fc.tuple(fc.nat(7), card), { selector: ([index]) => index, maxLength: 8 }),
  usb: fc.uniqueArray(fc.tuple(fc.nat(7), fc.constantFrom('tablet', 'mouse', 'keyboard')), {
    selector: ([index]) => index,
    maxLength: 5,
  }),
  pci: fc.uniqueArray(fc.nat(7), { maxLength: 4 }),
});

function render({ singles, disks, cards, usb, pci }: Machine): string {
  const map = (section: string, entries: readonly string[]): string => `${section}: {${entries.join(', ')}}`;
  return [
    'template: linux',
    'uuid: 11111111-2222-4333-8444-555555555555',
    ...singles,
    map(
      'disks',
      disks.map(
        ([index, { type, bus, more }]) =>
          `disk${index}: { type: ${type}, ${MADE_OF[type]?.(index)}${bus === '' ? '' : `, bus: ${bus}`}${more} }`,
      ),
    ),
    map(
      'network',
      cards.map(([index, { model }]) => `net${index}: { type: user, model: ${model} }`),
    ),
    map(
      'usb',
      usb.map(([index, type]) => `usb${index}: ${type}`),
    ),
    map(
      'pci',
      pci.map((index) => `pci${index}: "0000:0${index}:00.0"`),
    ),
    '',
  ].join('\n');
}

/** The machine with one device less, and what its ids begin with. */
function without(machine: Machine, pick: number): Machine {
  const all: readonly (readonly [keyof Machine, number])[] = (Object.keys(machine) as (keyof Machine)[]).flatMap(
    (key) => machine[key].map((_, index) => [key, index] as const),
  );
  const chosen = all[pick % Math.max(1, all.length)];
  if (!chosen) return machine;
  const [key, index] = chosen;
  return { ...machine, [key]: (machine[key] as readonly unknown[]).filter((_, each) => each !== index) };
}

describe('hardware stays put', () => {
  it('moves no address, id, MAC or serial when a device comes or goes', () => {
    fc.assert(
      fc.property(machines, fc.nat(), (machine, pick) => {
        const large = identities(planOf(render(machine), catalog, facts));
        const small = identities(planOf(render(without(machine, pick)), catalog, facts));
        for (const [id, identity] of small) {
          // The type of the one graphics card or sound card is allowed to change when its line goes.
          if (/^(device|audiodev|object|chardev) (gpu|audio|hda|hda-codec|ac97|serial)/.test(id)) continue;
          if (large.has(id)) expect([id, large.get(id)]).toEqual([id, identity]);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('keeps all that is left when one numbered device goes', () => {
    fc.assert(
      fc.property(machines, fc.nat(), (machine, pick) => {
        const fewer = without({ ...machine, singles: [] }, pick);
        const before = identities(planOf(render({ ...machine, singles: [] }), catalog, facts));
        const after = identities(planOf(render(fewer), catalog, facts));
        for (const [id, identity] of after) expect([id, before.get(id)]).toEqual([id, identity]);
      }),
      { numRuns: 200 },
    );
  });

  it('makes the same plan twice, in the same order', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const [first, second] = [0, 1].map(() => JSON.stringify(planOf(render(machine), catalog, facts)));
        expect(first).toBe(second);
      }),
      { numRuns: 100 },
    );
  });

  it('gives every VM identifiers of its own', () => {
    const macs = ['a', 'b'].map((name) => {
      const plan = planOf(`name: ${name}\nnetwork: { net0: user, net1: user }\n`, catalog, facts);
      return plan.qemu.options.flatMap(({ args }) =>
        typeof args === 'object' && args['mac'] ? [String(args['mac'])] : [],
      );
    });
    expect(new Set(macs.flat()).size).toBe(4);
    for (const mac of macs.flat()) expect(mac).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { DeviceTemplate } from '../../src/catalog/template.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { folderTemplates } from '../checkout.ts';
import { DEVICES } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

const catalog = new Catalog(folderTemplates());

/** A machine type, with what it has places for. */
interface Board {
  readonly type: string;
  readonly facts: HostFacts;
  readonly slots: NonNullable<DeviceTemplate['slots']>;
  readonly buses: NonNullable<DeviceTemplate['buses']>;
  readonly has: readonly string[];
}

const BOARDS: readonly Board[] = DEVICES.filter(({ section }) => section.name === 'machine').map(({ template }) => ({
  type: template.type,
  facts: hostFacts(template.board?.arch === 'aarch64' ? 'arm-linux' : 'laptop'),
  slots: template.slots ?? {},
  buses: template.buses ?? {},
  has: template.board?.has ?? [],
}));

/**
 * What may change when another device comes or goes: the order to boot in, what plays the sound of a screen, and whether
 * other programs work in the memory. All else is what a guest, or an administrator, knows a device by.
 */
const FREE = ['bootindex', 'share'];

/** Every device and back-end by its id, with what must stay as it is. */
function identities(plan: Plan): Map<string, string> {
  return new Map(
    plan.qemu.options.flatMap(({ name, args }): [string, string][] => {
      if (typeof args !== 'object') return [];
      const id = args['id'] ?? args['node-name'];
      if (id === undefined) return [];
      const kept = Object.entries(name === 'audiodev' ? {} : args).filter(([key]) => !FREE.includes(key));
      return [[`${name} ${id}`, JSON.stringify(Object.fromEntries(kept))]];
    }),
  );
}

/** The lines of a VM file, one device each, and what a board must have for it; any subset of them is a VM. */
const SINGLES: readonly (readonly [line: string, feature?: string])[] = [
  ['tpm: swtpm'],
  ['rng: none'],
  ['balloon: none'],
  ['audio: ac97'],
  ['audio: es1370'],
  ['audio: sb16', 'isa'],
  ['keyboard: virtio'],
  ['pointer: virtio-tablet'],
  ['pointer: virtio-multitouch'],
  ['memory: 2G\nnuma: [1G, { memory: 1G, cpus: "0" }]', 'numa'],
  ['iommu: intel', 'iommu-intel'],
  ['iommu: virtio', 'iommu-virtio'],
  ['agent: none'],
  ['gpu: { type: qxl, separate: on, outputs: 4 }', 'vga'],
  ['gpu: { type: passthrough, pci: ["0000:1f:00.0", "0000:1f:00.1"] }'],
  ['display: looking-glass'],
  ['display: spice'],
  ['smbios: { product: X }', 'smbios'],
  ['boot: { menu: on }'],
  ['watchdog: i6300esb'],
  ['pvpanic: isa', 'lpc'],
  ['vmgenid: {}', 'lpc'],
  ['debugcon: log', 'isa'],
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
  cdrom: (index) => (index % 2 === 0 ? `file: /images/${index}.iso` : `serial: EMPTY${index}`),
};

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
  readonly shares: readonly number[];
  readonly input: readonly number[];
  readonly serial: readonly number[];
  readonly consoles: readonly number[];
}

/** Every type of disk on every bus it knows, but for controllers that have one place between them, as on Proxmox's boards. */
function drivesOn({ slots, buses, has }: Board): fc.Arbitrary<Drive> {
  const place = (kind: string): string =>
    slots[kind]?.bus === undefined ? String(slots[kind]?.at[0]) : `${slots[kind]?.bus}/${slots[kind]?.at[0]}`;
  const bridges = (kind: string): string[] =>
    (buses[place(kind).split('/')[0] ?? ''] ?? []).map(({ bus, addr }) => `${bus}/${addr}`);
  const isFree = (bus: string): boolean => ![place(bus), ...bridges(bus)].includes(place('scsi-controller'));
  return fc.oneof(
    ...DEVICES.filter(
      ({ section, template: { needs } }) =>
        section.name === 'disks' && (needs?.board === undefined || has.includes(needs.board)),
    ).map(({ template: { type, params } }) =>
      fc.record({
        type: fc.constant(type),
        bus: fc.constantFrom(...((params['bus']?.of ?? ['']) as string[]).filter(isFree)),
        more: fc.constantFrom(...(params['iothread'] ? ['', ', bps-total: 100M'] : [''])),
      }),
    ),
  );
}

function machinesOn(board: Board): fc.Arbitrary<Machine> {
  const { slots, has } = board;
  const last = (kind: string): number => (slots[kind]?.at.length ?? 0) - 1;
  const lines = SINGLES.flatMap(([line, feature]) => (feature === undefined || has.includes(feature) ? [line] : []));
  // On Proxmox's boards a graphics card is the first of all devices handed over.
  const isFirstPci = slots['gpu-passthrough']?.at[0] === slots['pci']?.at[0];
  const card = fc.record({ model: fc.constantFrom('virtio', 'e1000e', 'vmxnet3') });
  return fc.record({
    singles: fc.uniqueArray(fc.constantFrom(...lines), { selector: (line) => line.split(':')[0], maxLength: 8 }),
    disks: fc.uniqueArray(
      fc.tuple(fc.nat(3), drivesOn(board)).filter(([index, { type }]) => index < 2 || type !== 'floppy'),
      { selector: ([index]) => index, maxLength: 4 },
    ),
    cards: fc.uniqueArray(fc.tuple(fc.nat(last('network')), card), { selector: ([index]) => index, maxLength: 8 }),
    usb: fc.uniqueArray(
      fc.tuple(fc.nat(7), fc.constantFrom('tablet', 'mouse', 'keyboard', 'smartcard', 'redirection')),
      {
        selector: ([index]) => index,
        maxLength: 5,
      },
    ),
    pci: fc.uniqueArray(fc.integer({ min: isFirstPci ? 1 : 0, max: last('pci') }), { maxLength: 4 }),
    shares: fc.uniqueArray(fc.nat(last('share')), { maxLength: 3 }),
    input: fc.uniqueArray(fc.nat(5), { maxLength: 3 }),
    serial: fc.uniqueArray(fc.nat(last('serial')), { maxLength: 2 }),
    consoles: fc.uniqueArray(fc.nat(last('console')), { maxLength: 2 }),
  });
}

function render({ type }: Board, { singles, disks, cards, usb, pci, ...more }: Machine): string {
  const map = (section: string, entries: readonly string[]): string => `${section}: {${entries.join(', ')}}`;
  return [
    'template: linux',
    `machine: ${type}`,
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
      pci.map((index) => `pci${index}: "0000:0${index.toString(16)}:00.0"`),
    ),
    map(
      'shares',
      more.shares.map((index) => `share${index}: /folders/${index}`),
    ),
    map(
      'input',
      more.input.map((index) => `input${index}: /dev/input/event${index}`),
    ),
    ...(['serial', 'consoles'] as const).map((section) =>
      map(
        section,
        more[section].map((index) => `${section === 'serial' ? 'serial' : 'console'}${index}: log`),
      ),
    ),
    '',
  ].join('\n');
}

/** What changes with the one device of a section, whose type may be another when its line goes. */
const OF_SECTION: { readonly [section: string]: RegExp } = {
  gpu: /^device gpu/,
  audio: /^device (audio|hda|ac97|es1370|sb16)/,
  pointer: /^device pointer/,
  memory: /^object ram$/,
};

/** The machine with one device less, and what may be another thing then. */
function without(machine: Machine, pick: number): { readonly machine: Machine; readonly free: RegExp | undefined } {
  const all: readonly (readonly [keyof Machine, number])[] = (Object.keys(machine) as (keyof Machine)[]).flatMap(
    (key) => machine[key].map((_, index) => [key, index] as const),
  );
  const chosen = all[pick % Math.max(1, all.length)];
  if (!chosen) return { machine, free: undefined };
  const [key, index] = chosen;
  const section = key === 'singles' ? machine.singles[index]?.split(':')[0] : undefined;
  return {
    machine: { ...machine, [key]: (machine[key] as readonly unknown[]).filter((_, each) => each !== index) },
    free: OF_SECTION[section ?? ''],
  };
}

describe.each(BOARDS)('hardware stays put on $type', (board) => {
  const machines = machinesOn(board);
  const plan = (machine: Machine): Plan => planOf(render(board, machine), catalog, board.facts);

  it('moves no address, id, MAC or serial when a device comes or goes', () => {
    fc.assert(
      fc.property(machines, fc.nat(), (machine, pick) => {
        const large = identities(plan(machine));
        const { machine: rest, free } = without(machine, pick);
        const small = identities(plan(rest));
        for (const [id, identity] of small)
          if (large.has(id) && !free?.test(id)) expect([id, large.get(id)]).toEqual([id, identity]);
      }),
      { numRuns: 150 },
    );
  });

  it('keeps all that is left when one numbered device goes', () => {
    fc.assert(
      fc.property(machines, fc.nat(), (machine, pick) => {
        const before = identities(plan({ ...machine, singles: [] }));
        const after = identities(plan(without({ ...machine, singles: [] }, pick).machine));
        for (const [id, identity] of after) expect([id, before.get(id)]).toEqual([id, identity]);
      }),
      { numRuns: 100 },
    );
  });

  it('makes the same plan twice, in the same order', () => {
    fc.assert(
      fc.property(machines, (machine) => {
        const [first, second] = [0, 1].map(() => JSON.stringify(plan(machine)));
        expect(first).toBe(second);
      }),
      { numRuns: 50 },
    );
  });
});

it('gives every VM identifiers of its own', () => {
  const macs = ['a', 'b'].map((name) => {
    const plan = planOf(`name: ${name}\nnetwork: { net0: user, net1: user }\n`, catalog, hostFacts('laptop'));
    return plan.qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['mac'] ? [String(args['mac'])] : [],
    );
  });
  expect(new Set(macs.flat()).size).toBe(4);
  for (const mac of macs.flat()) expect(mac).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
});

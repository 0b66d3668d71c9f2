import { describe, expect, it } from 'vitest';
import type { DeviceTemplate } from '../../src/catalog/template.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { CATALOG, DEVICES } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

/**
 * Proxmox VE's own map of addresses (qemu-server 9.2.6, PVE/QemuServer/PCI.pm), by bus: the slots in hexadecimal, and in
 * each the name it has there. Places that two names share are left to the name used here.
 */
const CONVENTIONAL: Readonly<Record<string, readonly (readonly [slot: number, id: string, count?: number])[]>> = {
  'pci.0': [
    [0x02, 'vga'],
    [0x03, 'balloon', 1],
    [0x04, 'watchdog'],
    [0x05, 'scsihw', 1],
    [0x08, 'qga', 1],
    [0x0a, 'virtio', 6],
    [0x10, 'hostpci', 2],
    [0x12, 'net', 6],
  ],
  'pci.1': [
    [0x1b, 'xhci'],
    [0x1d, 'rng', 1],
  ],
  'pci.3': [[0x01, 'virtioscsi', 16]],
  'pci.2': [
    [0x0b, 'ivshmem'],
    [0x0c, 'audio', 1],
  ],
};
/** Where a numbered name goes on, on another bus. */
const FURTHER: Readonly<Record<string, readonly (readonly [from: number, to: number, bus: string, slot: number])[]>> = {
  virtio: [[6, 15, 'pci.2', 0x01]],
  net: [[6, 31, 'pci.1', 0x01]],
  hostpci: [
    [2, 3, 'pci.0', 0x1b],
    [4, 15, 'pci.2', 0x0d],
  ],
};

/** The place of each of Proxmox's names, in its own spelling: `net0` is `pci.0/12`. */
function proxmoxMap(): Map<string, string> {
  const map = new Map<string, string>();
  const put = (id: string, bus: string, slot: number): unknown => map.set(id, `${bus}/${slot.toString(16)}`);
  for (const [bus, rows] of Object.entries(CONVENTIONAL))
    for (const [slot, id, count] of rows)
      if (count === undefined) put(id, bus, slot);
      else for (let index = 0; index < count; index++) put(`${id}${index}`, bus, slot + index);
  for (const [id, rows] of Object.entries(FURTHER))
    for (const [from, to, bus, slot] of rows)
      for (let index = from; index <= to; index++) put(`${id}${index}`, bus, slot + index - from);
  return map;
}

/** What ezvm calls what Proxmox calls otherwise; null for kinds that Proxmox has no such place for. */
const NAMES: Readonly<Record<string, ((index: number) => string) | null>> = {
  gpu: () => 'vga',
  balloon: (index) => `balloon${index}`,
  watchdog: () => 'watchdog',
  'scsi-controller': () => 'scsihw0',
  pvscsi: () => 'scsihw0',
  lsi: () => 'scsihw0',
  megasas: () => 'scsihw0',
  'scsi-single': (index) => `virtioscsi${index}`,
  'virtio-serial': () => 'qga0',
  disk: (index) => `virtio${index}`,
  network: (index) => `net${index}`,
  xhci: () => 'xhci',
  rng: (index) => `rng${index}`,
  ivshmem: () => 'ivshmem',
  audio: (index) => `audio${index}`,
  pci: (index) => `hostpci${index}`,
  'gpu-passthrough': () => 'hostpci0',
  pointer: null,
  keyboard: null,
  share: null,
  pvpanic: null,
  'usb-disks': null,
  iommu: null,
};
/** Kinds of places that are not PCI slots. */
const OTHERS =
  /^(sata|ide|scsi|scsi-pvscsi|scsi-lsi|scsi-megasas|usb|usb-disk|floppy|usb-ehci|usb-uhci|serial|console)$/;

function machine(type: string): DeviceTemplate {
  const found = DEVICES.find(({ name }) => name === `machines/${type}`);
  if (!found) throw new Error(type);
  return found.template;
}

const MAPS: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  'proxmox-pc': proxmoxMap(),
  // PCI.pm, print_pcie_addr; hostpciN with pcie=1.
  proxmox: new Map([
    ...proxmoxMap(),
    ['vga', 'pcie.0/1'],
    ['ivshmem', 'pcie.0/14'],
    ...Array.from({ length: 16 }, (_, index): [string, string] => [`hostpci${index}`, `ich9-pcie-port-${index + 1}/0`]),
  ]),
};

describe.each(Object.entries(MAPS))('the machine %s', (type, map) => {
  const { slots = {} } = machine(type);

  it('puts every device where Proxmox has it', () => {
    for (const [kind, { bus, at }] of Object.entries(slots)) {
      if (OTHERS.test(kind)) continue;
      const name = NAMES[kind];
      expect(name, `the test knows the kind ${kind}`).toBeDefined();
      for (const [index, text] of at.entries())
        if (name)
          expect([name(index), text.includes('/') ? text : `${bus}/${text}`]).toEqual([
            name(index),
            map.get(name(index)),
          ]);
        // What Proxmox may put there some day has to be somebody else's.
        else expect([...map.values()]).not.toContain(text);
    }
  });

  it('has as many places of each kind as Proxmox', () => {
    expect([slots['network'], slots['disk'], slots['pci']].map((table) => table?.at.length)).toEqual([32, 16, 16]);
  });
});

/** The properties of the devices that a plan has, by id. */
function devicesOf(text: string): Map<string, QemuProps> {
  const { qemu } = planOf(`template: linux\n${text}`, CATALOG, hostFacts('laptop'));
  return new Map(
    qemu.options.flatMap(({ name, args }): [string, QemuProps][] =>
      name === 'device' && typeof args === 'object' ? [[String(args['id']), args]] : [],
    ),
  );
}

function places(devices: ReadonlyMap<string, QemuProps>, ids: RegExp): string[] {
  return [...devices].flatMap(([id, { driver, bus, addr }]) =>
    ids.test(id) ? [`${id} ${driver} ${bus} ${addr}`] : [],
  );
}

describe('the bridges of Proxmox', () => {
  it('are all there on q35, as in its pve-q35-4.0.cfg', () => {
    const devices = devicesOf('machine: proxmox\naudio: none\n');
    expect(places(devices, /^(ehci|uhci|audio0|ich9|pcidmi|pci\.)/)).toEqual([
      'ehci ich9-usb-ehci1 pcie.0 1d.7',
      'uhci-1 ich9-usb-uhci1 pcie.0 1d.0',
      'uhci-2 ich9-usb-uhci2 pcie.0 1d.1',
      'uhci-3 ich9-usb-uhci3 pcie.0 1d.2',
      'ehci-2 ich9-usb-ehci2 pcie.0 1a.7',
      'uhci-4 ich9-usb-uhci4 pcie.0 1a.0',
      'uhci-5 ich9-usb-uhci5 pcie.0 1a.1',
      'uhci-6 ich9-usb-uhci6 pcie.0 1a.2',
      'audio0 ich9-intel-hda pcie.0 1b',
      ...[1, 2, 3, 4].map((port) => `ich9-pcie-port-${port} pcie-root-port pcie.0 1c.${port - 1}`),
      'pcidmi i82801b11-bridge pcie.0 1e.0',
      ...[0, 1, 2, 3].map((bridge) => `pci.${bridge} pci-bridge pcidmi ${bridge + 1}.0`),
    ]);
    for (const port of [1, 2, 3, 4])
      expect(devices.get(`ich9-pcie-port-${port}`)).toMatchObject({
        'x-speed': '16',
        'x-width': '32',
        multifunction: true,
        port,
        chassis: port,
      });
    for (const bridge of [0, 1, 2, 3]) expect(devices.get(`pci.${bridge}`)).toMatchObject({ chassis_nr: bridge + 1 });
  });

  it('are joined by a port for each further device handed over, and by the port at function 0 of its slot', () => {
    const ports = (index: number): string[] =>
      places(devicesOf(`machine: proxmox\npci: { pci${index}: "0000:03:00.0" }\n`), /^ich9-pcie-port-([5-9]|1\d)$/);
    expect(ports(3)).toEqual([]);
    expect(ports(4)).toEqual(['ich9-pcie-port-5 pcie-root-port pcie.0 10.0']);
    expect(ports(11)).toEqual([
      'ich9-pcie-port-5 pcie-root-port pcie.0 10.0',
      'ich9-pcie-port-12 pcie-root-port pcie.0 10.7',
    ]);
    expect(ports(15)).toEqual([
      'ich9-pcie-port-13 pcie-root-port pcie.0 11.0',
      'ich9-pcie-port-16 pcie-root-port pcie.0 11.3',
    ]);
  });

  it('are two on i440FX, and more where something sits on them', () => {
    const bridges = (text: string): string[] => places(devicesOf(`machine: proxmox-pc\n${text}`), /^pci\./);
    expect(bridges('')).toEqual(['pci.1 pci-bridge pci.0 1e', 'pci.2 pci-bridge pci.0 1f']);
    expect(bridges('shares: { share5: /x }\n')).toContain('pci.4 pci-bridge pci.1 1c');
  });

  it('carry IDE drives in the order of Proxmox, and SATA drives on a controller of its own', () => {
    const drives =
      'disks: [{ file: /a, bus: ide }, { file: /b, bus: ide }, { file: /c, bus: ide }, { file: /d, bus: sata, slot: 0 }]\n';
    const bus = (text: string): unknown[] =>
      [...devicesOf(`machine: ${text}\n${drives}`).values()].flatMap(({ driver, bus: on, unit }) =>
        driver === 'ide-hd' ? [`${on} ${unit ?? '-'}`] : [],
      );
    expect(bus('proxmox')).toEqual(['ide.0 -', 'ide.2 -', 'ide.1 -', 'ahci0.0 -']);
    expect(bus('proxmox-pc')).toEqual(['ide.0 0', 'ide.0 1', 'ide.1 0', 'ahci0.0 -']);
    expect(devicesOf(`machine: proxmox\n${drives}`).get('ahci0')).toMatchObject({ bus: 'pci.0', addr: '7' });
  });
});

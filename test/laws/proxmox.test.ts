import { describe, expect, it } from 'vitest';
import type { DeviceTemplate } from '../../src/catalog/template.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { CATALOG, DEVICES } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

/**
 * Proxmox VE's own map of addresses (qemu-server 9.2.6, PVE/QemuServer/PCI.pm), by bus: the slots in hexadecimal, and in
 * each the name it has there; with a number, where more of them follow, each in the next slot.
 */
const CONVENTIONAL: Readonly<
  Record<string, readonly (readonly [slot: number, id: string, from?: number, to?: number])[]>
> = {
  'pci.0': [
    [0x02, 'vga'],
    [0x03, 'balloon', 0],
    [0x04, 'watchdog'],
    [0x05, 'scsihw', 0],
    [0x06, 'scsihw', 1],
    [0x07, 'ahci', 0],
    [0x08, 'qga', 0],
    [0x09, 'spice'],
    [0x0a, 'virtio', 0, 5],
    [0x10, 'hostpci', 0, 1],
    [0x12, 'net', 0, 5],
    [0x18, 'vga', 1, 3],
    [0x1b, 'hostpci', 2, 3],
  ],
  'pci.1': [
    [0x01, 'net', 6, 31],
    [0x1b, 'xhci'],
    [0x1d, 'rng', 0],
  ],
  'pci.2': [
    [0x01, 'virtio', 6, 15],
    [0x0b, 'ivshmem'],
    [0x0c, 'audio', 0],
    [0x0d, 'hostpci', 4, 15],
  ],
  'pci.3': [[0x01, 'virtioscsi', 0, 30]],
  'pci.4': [[0x01, 'scsihw', 2, 4]],
};

/** The place of each of Proxmox's names, in its own spelling: `net0` is `pci.0/12`. */
function proxmoxMap(): Map<string, string> {
  const map = new Map<string, string>();
  const put = (id: string, bus: string, slot: number): unknown => map.set(id, `${bus}/${slot.toString(16)}`);
  for (const [bus, rows] of Object.entries(CONVENTIONAL))
    for (const [slot, id, from, to = from] of rows)
      if (from === undefined || to === undefined) put(id, bus, slot);
      else for (let index = from; index <= to; index++) put(`${id}${index}`, bus, slot + index - from);
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
  'virtio-serial': (index) => ['qga0', 'spice'][index] ?? '',
  disk: (index) => `virtio${index}`,
  network: (index) => `net${index}`,
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
  /^(sata|ide|scsi|scsi-pvscsi|scsi-lsi|scsi-megasas|usb|usb-disk|usb-tablet|floppy|usb-ehci|usb-uhci|serial|console)$/;

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
    const count = (kind: string): unknown => slots[kind]?.at.length;
    expect(['network', 'disk', 'pci', 'ide', 'sata'].map(count)).toEqual([32, 16, 16, 4, 6]);
    // scsi0 to scsi30, on whichever controller.
    expect(['scsi', 'scsi-single', 'scsi-pvscsi', 'scsi-lsi', 'scsi-megasas'].map(count)).toEqual(Array(5).fill(31));
  });

  it('leaves no name of Proxmox out', () => {
    const told = Object.entries(slots).flatMap(([kind, { at }]) => at.map((_, index) => NAMES[kind]?.(index)));
    // These come with the devices that sit on them, and with heads of qxl: below.
    const elsewhere = /^(scsihw[1-4]|ahci0|vga[1-3]|xhci)$/;
    expect([...map.keys()].filter((name) => !told.includes(name) && !elsewhere.test(name))).toEqual([]);
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

describe('what is on the buses', () => {
  const BOARDS = [
    ['proxmox', 'ehci'],
    ['proxmox-pc', 'uhci'],
  ] as const;

  // DriveDevice.pm: print_drivedevice_full; with virtio-scsi-single too the unit is the number of the disk.
  it.each(BOARDS)('of %s are SCSI disks by unit, and by target on controllers that are not paravirtual', (type) => {
    const unitOf = (bus: string, more = ''): unknown => {
      const {
        bus: on,
        'scsi-id': target,
        lun,
      } = devicesOf(`machine: ${type}\ndisks: { disk13: { file: /a, bus: ${bus}${more} } }\n`).get('disk13-device') ??
      {};
      return [on, target, lun];
    };
    expect(unitOf('scsi')).toEqual(['scsi.0', 0, 13]);
    expect(unitOf('scsi', ', type: cdrom')).toEqual(['scsi.0', 0, 13]);
    expect(unitOf('scsi-single')).toEqual(['disk13-controller.0', 0, 13]);
    expect(unitOf('megasas')).toEqual(['megasas.0', 0, 13]);
    expect(unitOf('pvscsi')).toEqual(['pvscsi.0', 13, undefined]);
    expect(unitOf('lsi')).toEqual(['scsihw1.0', 6, undefined]);
  });

  it.each(BOARDS)('of %s are further controllers of LSI, seven disks on each', (type) => {
    const lsi = (index: number): string[] =>
      places(devicesOf(`machine: ${type}\ndisks: { disk${index}: { file: /a, bus: lsi } }\n`), /^scsihw/);
    expect([6, 7, 14, 21, 28].map(lsi)).toEqual([
      [],
      ['scsihw1 lsi53c895a pci.0 6'],
      ['scsihw2 lsi53c895a pci.4 1'],
      ['scsihw3 lsi53c895a pci.4 2'],
      ['scsihw4 lsi53c895a pci.4 3'],
    ]);
  });

  it.each(BOARDS)('of %s is a tablet on a controller of its own kind (%s), unless a bus is named', (type, bus) => {
    const tablet = (usb: string): unknown => {
      const { bus: on, port } = devicesOf(`machine: ${type}\n${usb}`).get('tablet') ?? {};
      return [on, port];
    };
    expect(tablet('')).toEqual([`${bus}.0`, '1']);
    expect(tablet('usb: { tablet: { type: tablet, bus: xhci, slot: 3 } }\n')).toEqual(['xhci.0', '4']);
    expect([...devicesOf(`machine: ${type}\n`).keys()]).not.toContain('xhci');
    const second = devicesOf(`machine: ${type}\nusb: [tablet]\n`);
    expect(second.get('usb0')).toMatchObject({ bus: 'xhci.0', port: '1' });
    expect(places(second, /^xhci/)).toEqual(['xhci qemu-xhci pci.1 1b']);
  });

  it.each(BOARDS)('of %s are further heads of qxl in slots of their own', (type) => {
    const devices = devicesOf(`machine: ${type}\ngpu: { type: qxl, separate: on, outputs: 4 }\n`);
    expect(places(devices, /^gpu/)).toEqual([
      `gpu qxl-vga ${type === 'proxmox' ? 'pcie.0 1' : 'pci.0 2'}`,
      'gpu-1 qxl pci.0 18',
      'gpu-2 qxl pci.0 19',
      'gpu-3 qxl pci.0 1a',
    ]);
    expect(devices.get('gpu')).not.toHaveProperty('multifunction');
  });

  it.each(BOARDS)('of %s have the agent and SPICE a controller each', (type) => {
    const devices = devicesOf(`machine: ${type}\nspice: unix\nagent: qemu\n`);
    expect(places(devices, /^virtio-serial/).toSorted()).toEqual([
      'virtio-serial virtio-serial-pci pci.0 8',
      'virtio-serial1 virtio-serial-pci pci.0 9',
    ]);
    expect([devices.get('agent-port'), devices.get('vdagent-port')]).toMatchObject([
      { bus: 'virtio-serial.0', nr: 1 },
      { bus: 'virtio-serial1.0', nr: 1 },
    ]);
  });
});

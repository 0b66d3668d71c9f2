import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type PrivLab, tool } from './lab.ts';

/** A device as a test wants it; what is not said is an ordinary display card with nobody else in its group. */
export interface FakeDevice {
  ids?: string;
  class?: string;
  driver?: string | null;
  group?: string | null;
  boot?: boolean;
  /** Virtual functions that are in use. */
  functions?: number;
}

/** Character devices that are harmless to open, as nodes of VFIO's. */
const GROUP_NODE = '1:3';
const DEVICE_NODE = '1:7';
const IOMMU_NODE = '1:5';
const EVERY_MS = 3;

/** A tree like sysfs' of PCI devices, and the kernel's part in what is written into it. */
export class FakePci {
  readonly #lab: PrivLab;
  readonly #devices = new Map<string, FakeDevice>();
  readonly #timer: NodeJS.Timeout;
  /** Drivers that do not take devices, whatever they are told. */
  readonly broken = new Set<string>();
  /** Whether devices have nodes of their own, as with iommufd. */
  own = false;
  /** The number of groups' nodes as sysfs has it. */
  groupNumber = GROUP_NODE;
  /** What was done, in order: "unbind ADDRESS DRIVER", "bind ADDRESS DRIVER". */
  readonly done: string[] = [];

  constructor(lab: PrivLab) {
    this.#lab = lab;
    for (const each of ['dev/vfio', 'run/ezvm-priv']) rmSync(lab.path(each), { recursive: true, force: true });
    // In memory, as sysfs is: a disk under load may keep this part of the kernel waiting longer than the helper waits.
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'none', lab.path('sys')]);
    for (const each of readdirSync(lab.path('sys'))) rmSync(lab.path('sys', each), { recursive: true });
    for (const each of ['bus/pci/devices', 'bus/pci/drivers', 'kernel/iommu_groups', 'class/vfio'])
      mkdirSync(this.#sys(each), { recursive: true });
    mkdirSync(lab.path('dev/vfio/devices'), { recursive: true });
    writeFileSync(this.#sys('bus/pci/drivers_probe'), '');
    for (const driver of ['vfio-pci', 'nouveau', 'nvme', 'e1000e', 'pcieport', 'snd_hda_intel', 'nvidia'])
      this.#addDriver(driver);
    this.#timer = setInterval(() => this.#work(), EVERY_MS);
  }

  end(): void {
    clearInterval(this.#timer);
    spawnSync('umount', [this.#lab.path('sys')]);
  }

  #sys(...parts: string[]): string {
    return this.#lab.path('sys', ...parts);
  }

  #addDriver(name: string): void {
    mkdirSync(this.#sys('bus/pci/drivers', name), { recursive: true });
    for (const file of ['bind', 'unbind']) writeFileSync(this.#sys('bus/pci/drivers', name, file), '');
  }

  add(address: string, device: FakeDevice = {}): void {
    const { ids = '10de:2684', class: kind = '030000', driver = 'nouveau', group = '7', boot, functions } = device;
    this.#devices.set(address, device);
    const dir = this.#sys('bus/pci/devices', address);
    const [vendor, id] = ids.split(':');
    mkdirSync(dir);
    const files = { vendor: `0x${vendor}`, device: `0x${id}`, class: `0x${kind}`, driver_override: '(null)' };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), `${text}\n`);
    if (boot !== undefined) writeFileSync(join(dir, 'boot_vga'), `${Number(boot)}\n`);
    if (functions !== undefined) writeFileSync(join(dir, 'sriov_numvfs'), `${functions}\n`);
    if (driver) symlinkSync(`../../drivers/${driver}`, join(dir, 'driver'));
    if (group === null) return;
    const members = this.#sys('kernel/iommu_groups', group, 'devices');
    mkdirSync(members, { recursive: true });
    symlinkSync(`../../../../bus/pci/devices/${address}`, join(members, address));
    symlinkSync(`../../../../kernel/iommu_groups/${group}`, join(dir, 'iommu_group'));
    this.#showNodes();
  }

  /** Something of a class below a device: a disk, an interface, a screen. */
  addBelow(address: string, kind: string, name: string, files: Record<string, string> = {}): void {
    const dir = this.#sys('devices/pci0000:00', address, kind, name);
    mkdirSync(dir, { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
    mkdirSync(this.#sys('class', kind), { recursive: true });
    symlinkSync(`../../devices/pci0000:00/${address}/${kind}/${name}`, this.#sys('class', kind, name));
  }

  /** The kernel's iommufd. */
  addIommufd(): void {
    this.own = true;
    mkdirSync(this.#sys('class/misc/iommu'), { recursive: true });
    writeFileSync(this.#sys('class/misc/iommu/dev'), `${IOMMU_NODE}\n`);
    rmSync(this.#lab.path('dev/iommu'), { force: true });
    this.#node('iommu', IOMMU_NODE);
  }

  driver(address: string): string | null {
    const link = this.#sys('bus/pci/devices', address, 'driver');
    return existsSync(link) ? basename(readlinkSync(link)) : null;
  }

  override(address: string): string {
    this.settle();
    return readFileSync(this.#sys('bus/pci/devices', address, 'driver_override'), 'utf8').trim();
  }

  /** Does at once what was written and not yet looked at. */
  settle(): void {
    this.#work();
  }

  #node(name: string, numbers: string): void {
    const file = this.#lab.path('dev', name);
    if (!existsSync(file)) tool('mknod', ['-m', '600', file, 'c', ...numbers.split(':')]);
  }

  /** A group has a node as long as one of its devices is VFIO's. */
  #showNodes(): void {
    const groups = new Set<string>();
    for (const [address, { group = '7' }] of this.#devices) {
      const bound = this.driver(address) === 'vfio-pci';
      if (bound && group) groups.add(group);
      const number = `vfio${address.at(-1)}`;
      const dir = this.#sys('bus/pci/devices', address, 'vfio-dev');
      if (bound && this.own && !existsSync(dir)) {
        this.#node(`vfio/devices/${number}`, DEVICE_NODE);
        mkdirSync(join(dir, number), { recursive: true });
        writeFileSync(join(dir, number, 'dev'), `${DEVICE_NODE}\n`);
      } else if (!bound) {
        rmSync(dir, { recursive: true, force: true });
        rmSync(this.#lab.path('dev/vfio/devices', number), { force: true });
      }
    }
    for (const name of readdirSync(this.#lab.path('dev/vfio')))
      if (name !== 'devices' && !groups.has(name)) rmSync(this.#lab.path('dev/vfio', name));
    for (const group of groups) {
      mkdirSync(this.#sys('class/vfio', group), { recursive: true });
      writeFileSync(this.#sys('class/vfio', group, 'dev'), `${this.groupNumber}\n`);
      this.#node(`vfio/${group}`, GROUP_NODE);
    }
  }

  #bind(address: string, driver: string): void {
    const link = this.#sys('bus/pci/devices', address, 'driver');
    if (existsSync(link) || this.broken.has(driver)) return;
    symlinkSync(`../../drivers/${driver}`, link);
    this.done.push(`bind ${address} ${driver}`);
    this.#showNodes();
  }

  /** Takes what was written into a file since it was asked last. */
  #written(file: string): string {
    const text = readFileSync(file, 'latin1');
    if (text) writeFileSync(file, '');
    return text;
  }

  #work(): void {
    for (const address of this.#devices.keys()) {
      const file = this.#sys('bus/pci/devices', address, 'driver_override');
      const text = readFileSync(file, 'latin1');
      if (text.startsWith('\n')) writeFileSync(file, '(null)\n');
      else if (!text.endsWith('\n')) writeFileSync(file, `${text}\n`);
    }
    for (const driver of readdirSync(this.#sys('bus/pci/drivers'))) {
      const unbound = this.#written(this.#sys('bus/pci/drivers', driver, 'unbind'));
      if (unbound && this.driver(unbound) === driver) {
        unlinkSync(this.#sys('bus/pci/devices', unbound, 'driver'));
        this.done.push(`unbind ${unbound} ${driver}`);
        this.#showNodes();
      }
      const bound = this.#written(this.#sys('bus/pci/drivers', driver, 'bind'));
      if (bound) this.#bind(bound, driver);
    }
    const probed = this.#written(this.#sys('bus/pci/drivers_probe'));
    if (!probed) return;
    const wanted = this.override(probed);
    const own = this.#devices.get(probed)?.driver ?? 'nouveau';
    this.#bind(probed, wanted === '(null)' ? own : wanted);
  }
}

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type DeviceTrees, findMediatedFaults, findPciFaults, lockableMemory, probePci } from '../../src/host/vfio.ts';
import { asStranger, IS_ROOT, scratch } from './scratch.ts';

const GPU = '0000:03:00.0';
const SOUND = '0000:03:00.1';

let trees: DeviceTrees;
beforeEach(() => {
  const dir = scratch();
  chmodSync(dir, 0o755);
  trees = { sys: join(dir, 'sys'), dev: join(dir, 'dev') };
});

/** A PCI function in the tree, as the kernel shows it. */
function add(address: string, driver?: string, group?: string, kind = '0x030000'): void {
  const dir = join(trees.sys, 'bus/pci/devices', address);
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries({ vendor: '0x10de', device: '0x1f08', class: kind }))
    writeFileSync(join(dir, name), `${text}\n`);
  if (driver !== undefined) symlinkSync(`../../../../bus/pci/drivers/${driver}`, join(dir, 'driver'));
  if (group === undefined) return;
  symlinkSync(`../../../../kernel/iommu_groups/${group}`, join(dir, 'iommu_group'));
  const members = join(trees.sys, 'kernel/iommu_groups', group, 'devices');
  mkdirSync(members, { recursive: true });
  symlinkSync(`../../../../bus/pci/devices/${address}`, join(members, address));
}

function open(group: string): string {
  const path = join(trees.dev, 'vfio', group);
  mkdirSync(join(trees.dev, 'vfio'), { recursive: true });
  writeFileSync(path, '');
  return path;
}

function faults(address = GPU, together: readonly string[] = [address]): string[] {
  return findPciFaults(address, together, trees).map(({ code, message }) => `${code}: ${message}`);
}

describe('a PCI function', () => {
  it('can be handed over when it and its whole group are ready', () => {
    add(GPU, 'vfio-pci', '14');
    add(SOUND, 'vfio-pci', '14', '0x040300');
    add('0000:00:01.0', 'pcieport', '14', '0x060400');
    open('14');
    expect(faults()).toEqual([]);
  });

  it('is told to be missing', () => {
    expect(faults()).toEqual([`pci-missing: there is no PCI device ${GPU}`]);
  });

  it('cannot be a bridge', () => {
    add(GPU, 'pcieport', '1', '0x060400');
    expect(faults()).toEqual([`pci-bridge: ${GPU} (10de:1f08) is a PCI bridge, which no VM can have`]);
  });

  it('needs an IOMMU', () => {
    add(GPU, 'vfio-pci');
    expect(faults()).toEqual([`iommu-off: ${GPU} is in no IOMMU group: the IOMMU is off`]);
  });

  it('needs the right driver, and every other device of its group too, told at once', () => {
    add(GPU, 'nvidia', '14');
    add(SOUND, 'snd_hda_intel', '14', '0x040300');
    add('0000:03:00.2', undefined, '14', '0x0c0330');
    expect(faults()).toEqual([
      `pci-driver: ${GPU} (10de:1f08) is in use by the host's driver nvidia, and not by vfio-pci`,
      `iommu-group-shared: ${GPU} is in IOMMU group 14 together with ${SOUND} (10de:1f08), in use by snd_hda_intel`,
    ]);
    // What is handed over as well is told of by itself.
    expect(faults(GPU, [GPU, SOUND])).toHaveLength(1);
  });

  it('without any driver is not ready', () => {
    add(GPU, undefined, '14');
    expect(faults()).toEqual([`pci-driver: ${GPU} (10de:1f08) has no driver, and needs vfio-pci`]);
  });

  it('may have a VFIO driver of its maker', () => {
    add(GPU, 'mlx5_vfio_pci', '14');
    open('14');
    expect(faults()).toEqual([]);
  });

  it("needs its group's device", () => {
    add(GPU, 'vfio-pci', '14');
    expect(faults()).toEqual([`vfio-missing: there is no ${trees.dev}/vfio/14`]);
  });

  it.skipIf(!IS_ROOT)(`needs the right to use it${IS_ROOT ? '' : ' (left out: not root)'}`, async () => {
    add(GPU, 'vfio-pci', '14');
    chmodSync(open('14'), 0o600);
    const script = `console.log(JSON.stringify(require('SRC/host/vfio.ts').findPciFaults('${GPU}', [], ${JSON.stringify(trees)})))`;
    expect(await asStranger(script)).toMatchObject([
      { code: 'vfio-denied', message: `you may not read and write ${trees.dev}/vfio/14` },
    ]);
  });
});

describe('all PCI functions', () => {
  it('are told with their ids, and with what keeps each from being handed over', () => {
    add(SOUND, 'vfio-pci', '14', '0x040300');
    add(GPU, 'vfio-pci', '14');
    add('0000:02:00.0', 'nvidia', '13');
    add('0000:00:01.0', 'pcieport', '14', '0x060400');
    open('14');
    const id = '10de:1f08';
    expect(probePci(trees)).toEqual([
      { address: '0000:00:01.0', id, group: '14', fault: `0000:00:01.0 (${id}) is a PCI bridge, which no VM can have` },
      {
        address: '0000:02:00.0',
        id,
        group: '13',
        closed: true,
        fault: `0000:02:00.0 (${id}) is in use by the host's driver nvidia, and not by vfio-pci`,
      },
      { address: GPU, id, group: '14' },
      { address: SOUND, id, group: '14' },
    ]);
    expect(probePci({ sys: '/none', dev: '/none' })).toEqual([]);
  });
});

describe('a mediated device', () => {
  const path = '/sys/bus/mdev/devices/4b20d080-1b54-4048-85b3-a6a62d165c01';
  const codes = (): string[] => findMediatedFaults(path, trees).map(({ code }) => code);

  it('can be handed over when it is there and its group can be opened', () => {
    expect(codes()).toEqual(['mdev-missing']);
    const dir = path.replace('/sys', trees.sys);
    mkdirSync(dir, { recursive: true });
    expect(codes()).toEqual(['iommu-off']);
    symlinkSync('../../../../kernel/iommu_groups/7', join(dir, 'iommu_group'));
    expect(codes()).toEqual(['vfio-missing']);
    open('7');
    expect(codes()).toEqual([]);
  });
});

describe('the memory that may be locked', () => {
  it('is read in bytes, and may be without a limit', () => {
    const file = join(scratch(), 'limits');
    const line = (limit: string): string =>
      `Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         ${limit}              unlimited            bytes     \n`;
    writeFileSync(file, line('8388608'));
    expect(lockableMemory(file)).toBe(8388608);
    writeFileSync(file, line('unlimited'));
    expect(lockableMemory(file)).toBe(Number.POSITIVE_INFINITY);
    expect(lockableMemory(join(file, 'none'))).toBe(Number.POSITIVE_INFINITY);
    expect(lockableMemory()).toBeGreaterThan(0);
  });
});

import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');
const ARM = hostFacts('arm-linux');
const MAC = hostFacts('arm-mac');

function make(text: string, facts: HostFacts = LAPTOP) {
  const template = text.startsWith('template:') ? '' : 'template: none\n';
  const { spec, diagnostics } = specOf(`name: vm\n${template}${text}`, CATALOG);
  expect(diagnostics).toEqual([]);
  const { plan, diagnostics: faults } = assemble(spec, CATALOG, facts);
  const driver = (id: string): unknown =>
    plan.qemu.options.flatMap(({ args }) => (typeof args === 'object' && args['id'] === id ? [args['driver']] : []))[0];
  const option = (name: string): QemuProps => {
    const found = plan.qemu.options.find((one) => one.name === name);
    return typeof found?.args === 'object' ? found.args : {};
  };
  return {
    plan,
    driver,
    option,
    faults: faults.map(({ message }) => message),
    unmet: plan.requirements.flatMap((one) => (one.kind === 'unmet' ? [one.code] : [])),
  };
}

describe('what a board lacks', () => {
  it.each([
    ['machine: virt\ngpu: std\n', 'gpu: std does not go with the board virt, which has no vga'],
    ['machine: none\n', 'rng: there is no board for it to sit on'],
    ['machine: pc\niommu: virtio\n', 'iommu: virtio does not go with the board pc, which has no iommu-virtio'],
    ['machine: virt\nfirmware: bios\n', 'firmware: bios does not go with the board virt, which has no bios'],
    ['machine: virt\npvpanic: isa\n', 'pvpanic: isa does not go with the board virt, which has no lpc'],
    ['machine: virt\ncpu: { dies: 2 }\n', 'cpu: dies does not go with the board virt, which has no dies'],
    ['machine: virt\ncpu: { type: x86-64-v2 }\n', 'cpu: x86-64-v2 does not go with the board virt, which has no x86'],
    ['machine: microvm\nfirmware: uefi\n', 'firmware: uefi does not go with the board microvm, which has no flash'],
    [
      'machine: microvm\nfirmware: { secure-boot: on }\n',
      'firmware: uefi does not go with the board microvm, which has no flash',
    ],
    ['machine: microvm\nsmbios: X\n', 'smbios: system does not go with the board microvm, which has no smbios'],
    ['machine: microvm\nnuma: [128M]\n', 'node0: ram does not go with the board microvm, which has no numa'],
    ['machine: pc\niommu: intel\n', 'iommu: intel does not go with the board pc, which has no iommu-intel'],
    [
      'machine: virt\nserial: [log, log]\n',
      'serial1: there is one place of the kind serial, and this asks for number 1',
    ],
    [
      'machine: pc\nfirmware: { secure-boot: on }\n',
      'Secure Boot needs System Management Mode, which the board pc does not have',
    ],
  ])('is refused by name where it was asked for: %j', (text, message) => {
    expect(make(text, text.includes('virt') ? ARM : LAPTOP).faults).toEqual([message]);
  });

  it('is left out where every VM has it by default', () => {
    const { faults, plan } = make('template: alpine\nmachine: microvm\nboot: { kernel: /boot/vmlinuz }\n');
    expect(faults).toEqual([]);
    expect(plan.qemu.options.map(({ name }) => name)).not.toEqual(expect.arrayContaining(['smbios']));
    expect(plan.notes).toEqual([]);
  });

  it('is told where it is the loader, and nothing else is started', () => {
    expect(make('machine: microvm\n').plan.notes.map(({ message }) => message)).toEqual([
      'the board microvm starts nothing but a kernel that it is given, and boot.kernel names none',
    ]);
  });

  it('is replaced where the template says so', () => {
    expect(make('machine: virt\ngpu: virtio-vga\n', ARM).driver('gpu')).toBe('virtio-gpu-pci');
    expect(make('gpu: virtio-vga\n').driver('gpu')).toBe('virtio-vga');
    expect(make('machine: virt\ndisks: [{ file: /a, bus: sata }]\n', ARM).driver('ahci')).toBe('ich9-ahci');
    expect(make('disks: [{ file: /a, bus: sata }]\n').driver('ahci')).toBeUndefined();
  });
});

describe('a board of ARM', () => {
  it('runs by HVF on a Mac, by KVM on ARM Linux, and not at all by the QEMU of PCs', () => {
    expect(make('machine: virt\n', MAC).option('accel')).toEqual({ accel: 'hvf' });
    expect(make('machine: virt\n', ARM).option('accel')).toEqual({ accel: 'kvm' });
    expect(make('machine: virt\n', LAPTOP).unmet.toSorted()).toEqual(['arch-differs', 'firmware-missing']);
    expect(make('machine: q35\n', MAC).unmet).toContain('arch-differs');
  });

  it('is slow where the Mac is none of ARM, and says why', () => {
    const intel: HostFacts = { ...MAC, hvf: { usable: false, reason: 'it runs only x86_64 guests here' } };
    const { option, plan } = make('machine: virt\n', intel);
    expect(option('accel')).toEqual({ accel: 'tcg' });
    expect(plan.notes.map(({ message }) => message)).toEqual([
      'the VM will run slowly, without HVF: it runs only x86_64 guests here',
    ]);
  });

  it('is refused HVF where there is none', () => {
    expect(make('machine: { accel: hvf }\n', LAPTOP).unmet).toContain('hvf-unusable');
  });

  it('gets an interrupt controller for more than eight processors', () => {
    expect(make('machine: virt\ncpu: 8\n', ARM).option('machine')).not.toHaveProperty('gic-version');
    expect(make('machine: virt\ncpu: 9\n', ARM).option('machine')).toMatchObject({ 'gic-version': 'max' });
    expect(make('machine: { type: virt, gic-version: 3 }\n', ARM).option('machine')).toMatchObject({
      'gic-version': '3',
    });
  });

  it('names the program and the packages that it wants', () => {
    const { qemu: _, ...bare } = ARM;
    expect(make('machine: virt\n', bare).plan.requirements).toContainEqual(
      expect.objectContaining({ program: 'qemu-system-aarch64', help: expect.stringContaining('qemu-system-arm') }),
    );
  });
});

describe('systems without a driver for USB 3', () => {
  it('have their pointer on a controller that they know', () => {
    const seven = make('template: windows-7\n');
    expect([seven.driver('ehci'), seven.driver('xhci'), seven.driver('tablet')]).toEqual([
      'ich9-usb-ehci1',
      undefined,
      'usb-tablet',
    ]);
    const xp = make('template: windows-xp\n');
    expect([xp.driver('uhci'), xp.driver('xhci'), xp.driver('tablet')]).toEqual([
      'piix3-usb-uhci',
      undefined,
      'usb-tablet',
    ]);
  });
});

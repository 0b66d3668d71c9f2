import { describe, expect, it } from 'vitest';
import type { FirmwareDescriptor } from '../../src/host/facts.ts';
import { chooseFirmware, type FirmwareWish } from '../../src/plan/firmware-choice.ts';

const X86 = [{ architecture: 'x86_64', machines: ['pc-i440fx-*', 'pc-q35-*'] }];
const Q35 = [{ architecture: 'x86_64', machines: ['pc-q35-*'] }];

function firmware(file: string, features: string[], more: Partial<FirmwareDescriptor> = {}): FirmwareDescriptor {
  return {
    file,
    interfaces: ['uefi'],
    executable: `/${file}`,
    executableFormat: 'raw',
    nvramTemplate: `/${file}.vars`,
    nvramFormat: 'raw',
    mode: 'split',
    targets: Q35,
    features,
    ...more,
  };
}

/** What Debian has, among kinds that other distributions have. */
const ALL: FirmwareDescriptor[] = [
  firmware('arm', [], { targets: [{ architecture: 'aarch64', machines: ['virt-*'] }] }),
  firmware('stateless', ['secure-boot', 'enrolled-keys'], { mode: 'stateless' }),
  firmware('combined', [], { mode: 'combined' }),
  firmware('sev', ['amd-sev'], { mode: 'memory' }),
  firmware('vmdk', [], { executableFormat: 'vmdk' }),
  firmware('enrolled', ['secure-boot', 'enrolled-keys', 'requires-smm']),
  firmware('secure', ['secure-boot', 'requires-smm']),
  firmware('plain', ['acpi-s3'], { targets: X86 }),
  firmware('seabios', [], { interfaces: ['bios'], mode: 'memory', targets: X86 }),
];

function choose(wish: Partial<FirmwareWish>): string | undefined {
  return chooseFirmware(ALL, { interface: 'uefi', arch: 'x86_64', machine: 'pc-q35-10.0', ...wish })?.file;
}

describe('chooseFirmware', () => {
  it.each<[string | undefined, Partial<FirmwareWish>]>([
    ['enrolled', {}],
    ['enrolled', { secureBoot: true }],
    ['enrolled', { secureBoot: true, enrolledKeys: true }],
    ['secure', { secureBoot: true, enrolledKeys: false }],
    ['secure', { enrolledKeys: false }],
    ['plain', { secureBoot: false }],
    ['plain', { secureBoot: false, enrolledKeys: false }],
    [undefined, { secureBoot: false, enrolledKeys: true }],
    ['plain', { machine: 'pc-i440fx-10.0' }],
    [undefined, { machine: 'pc-i440fx-10.0', secureBoot: true }],
    [undefined, { machine: 'q35' }],
    [undefined, { machine: 'xpc-q35-10.0' }],
    ['arm', { arch: 'aarch64', machine: 'virt-9.1' }],
    [undefined, { arch: 'aarch64' }],
    ['seabios', { interface: 'bios' }],
  ])('takes %s for %j', (file, wish) => {
    expect(choose(wish)).toBe(file);
  });

  it('reads * and ? in machine names as globs and nothing else', () => {
    const one = (glob: string, machine: string): boolean =>
      chooseFirmware([firmware('x', [], { targets: [{ architecture: 'x86_64', machines: [glob] }] })], {
        interface: 'uefi',
        arch: 'x86_64',
        machine,
      }) !== undefined;
    expect(one('pc-q35-?.?', 'pc-q35-7.2')).toBe(true);
    expect(one('pc-q35-?.?', 'pc-q35-10.0')).toBe(false);
    expect(one('pc.q35', 'pc-q35')).toBe(false);
    expect(one('(pc|q35)[x]', '(pc|q35)[x]')).toBe(true);
    expect(one('*', 'anything')).toBe(true);
  });
});

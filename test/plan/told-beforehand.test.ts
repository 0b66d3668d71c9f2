import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');

interface Told {
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
  readonly unmet: readonly string[];
}

/** What is said of a VM file before QEMU is started with it. */
function told(text: string, facts: HostFacts = LAPTOP): Told {
  const { spec, diagnostics } = specOf(`template: debian\nname: vm\n${text}\n`, CATALOG);
  if (diagnostics.length > 0) return { faults: diagnostics.map(({ message }) => message), warnings: [], unmet: [] };
  const { plan, diagnostics: faults } = assemble(spec, CATALOG, facts);
  for (const { help } of [...faults, ...plan.notes]) expect(help).toMatch(/./);
  return {
    faults: faults.map(({ message }) => message),
    warnings: plan.notes.flatMap(({ severity, message }) => (severity === 'warning' ? [message] : [])),
    unmet: plan.requirements.flatMap((one) => (one.kind === 'unmet' ? [one.message] : [])),
  };
}

const LONG = 'x'.repeat(100);

describe('what QEMU would die of', () => {
  it.each([
    ['gpu: { type: virtio-vga, hostmem: 3M }', /hostmem is "3M"; a power of two/],
    ['gpu: { type: bochs, memory: 3M }', /memory is 3M; a size .*from 4M to 256M/],
    ['gpu: { type: bochs, memory: 2G }', /memory is "2G"; a size .*from 4M to 256M/],
    [
      'disks: [{ file: a, bps-total: 100M, bps-total-max: 10M }]',
      /^disks\[0\].bps-total-max is 10M, less than bps-total, which is 100M$/,
    ],
    ['disks: [{ file: a, iops-total: 1000000000000001 }]', /iops-total is 1000000000000001; a whole number from 1 to/],
    ['disks: [{ type: vvfat, dir: a, label: TWELVE-CHARS }]', /label is "TWELVE-CHARS"; text of at most 11 characters/],
    [`shares: [{ path: a, tag: ${LONG.slice(0, 32)} }]`, /tag is .*a word of at most 31 characters/],
    [`disks: [{ file: a, bus: nvme, serial: ${LONG.slice(0, 21)} }]`, /an NVMe disk has 20 characters/],
    [`disks: [{ file: a, bus: scsi, serial: ${LONG.slice(0, 37)} }]`, /a SCSI disk has 36 characters/],
    [`disks: [{ type: cdrom, bus: usb, serial: ${LONG.slice(0, 37)} }]`, /a SCSI drive has 36 characters/],
    [
      'memory: 2G\nnuma: [{ memory: 1G, cpus: 0-1 }, { memory: 1G, cpus: 1-2 }]\ncpu: 4',
      /node1: processor 1 is one of node0's/,
    ],
    ['memory: 2G\nnuma: [{ memory: 2G, cpus: 0-9 }]\ncpu: 4', /there is no processor 9: the VM has 4, from 0 on/],
    ['memory: 2G\nnuma: [{ memory: 2G, cpus: 3-1 }]\ncpu: 4', /cpus ends with 1, before it begins/],
    ['memory: 2G\nnuma: [{ memory: 2G, cpus: some }]', /cpus is "some"; a word such as 0-3 is wanted/],
    ['memory: 2G\nnuma: [{ memory: 2G, distances: [10, 20] }]', /there are 2 distances, and 1 nodes/],
    ['memory: 2G\nnuma: [{ memory: 2G, distances: [11] }]', /the distance to itself is 11/],
    ['memory: { type: memfd, size: 1000001K }', /^memory.size is 1000001K; QEMU wants a multiple of 8K here$/],
    ['memory: { type: memfd, size: 1000004K }', /^memory.size is 1000004K; .* 8K here$/],
    ['memory: { type: file, folder: /dev/shm, size: 1000003K }', /^memory.size is 1000003K; .* 8K here$/],
    ['memory: 1000001K\nshares: [{ type: virtiofs, path: a }]', /^memory.size is 1000001K; .* 8K here$/],
    ['memory: { size: 1000001K, max: 2000001K, slots: 2 }', /^memory.max is 2000001K; .* 4K here$/],
    ['memory: { type: memfd, size: 4097M, huge-pages: 2M }', /^memory.size is 4097M; .* 2M here$/],
    ['network: [{ net: foo }]', /net is "foo"; text such as 192.168.76.0\/24 is wanted/],
    ['network: [{ net: 1.2.3.4/33 }]', /net is "1.2.3.4\/33"/],
    ['network: [{ net: 192.168.76.0/24, host: 10.0.2.2 }]', /^net0.host is 10.0.2.2, which is not in the network 192/],
    ['network: [{ dhcpstart: 192.168.1.9 }]', /^net0.dhcpstart is 192.168.1.9, which is not in the network 10.0.2.0/],
    ['network: [{ net: 10.0.0.0/30 }]', /^net0.net is 10.0.0.0\/30, which is too small for/],
    ['network: [{ net: 10.0.0.0/31 }]', /^net0.net is 10.0.0.0\/31, which is too small for/],
    ['network: [{ net: 10.0.0.0/32 }]', /^net0.net is 10.0.0.0\/32, which is too small for/],
    ['network: [{ dns: 10.0.2.2 }]', /^net0.dns is 10.0.2.2, the router's own address$/],
    ['network: [{ host: 10.0.2.3 }]', /^net0.host is 10.0.2.3, where dns is as well$/],
    ['network: [{ dhcpstart: 10.0.2.2 }]', /^net0.dhcpstart is 10.0.2.2, the router's own address$/],
    ['network: [{ dhcpstart: 10.0.2.3 }]', /^net0.dhcpstart is 10.0.2.3, that of the name server$/],
    ['fw-cfg: [{ name: a, string: "" }]', /string is ""; text of at least 1 character/],
    ['network: [{ type: socket, mcast: "10.0.0.1:5" }]', /mcast is "10.0.0.1:5"; text such as 230.0.0.1:5559/],
    ['fw-cfg: [{ name: "", string: a }]', /name is ""; text of 1 to 55 characters/],
    [`fw-cfg: [{ name: ${LONG}, string: a }]`, /name is .*; text of 1 to 55 characters/],
    ['fw-cfg: [{ name: a, string: a }, { name: a, string: b }]', /^two items of fw-cfg have the name a$/],
    ['tpm: { type: passthrough, device: /dev/null }', /tpm.device is "\/dev\/null"; a path such as \/dev\/tpm0/],
    ['smbios-tables: [{ type: bios, release: abc }]', /release is "abc"; text such as 1.2 is wanted/],
    ['disks: [{ type: nbd-tcp, host: "10.0.0.1:10809" }]', /host is "10.0.0.1:10809"; text such as 192.168.1.5/],
    ['disks: [{ type: nbd-tcp, host: "nbd://a" }]', /host is "nbd:\/\/a"; text such as/],
    ['disks: [{ type: nbd-tcp, host: "a b" }]', /host is "a b"; text such as/],
    ['disks: [{ type: iscsi, portal: "::1", target: iqn.a }]', /portal is "::1"; text such as/],
    ['disks: [{ type: iscsi, portal: "a:b", target: iqn.a }]', /portal is "a:b"; text such as/],
    ['disks: [{ type: iscsi, portal: a, target: iqn.a/1 }]', /target is "iqn.a\/1"; text such as iqn/],
    ['disks: ["nbd://10.0.0.1/data"]', /file is "nbd:\/\/10.0.0.1\/data"; a path is wanted/],
    ['fw-cfg: [{ name: etc/e820, string: a }]', /QEMU itself gives the guest etc\/e820/],
    ['spice: unix\nusb: [{ type: redirection, filter: bad }]', /filter is "bad"; text such as -1:0x046d/],
    ['disks: [{ type: nbd-tcp, host: "10.0.0.1:10809" }]', /host is "10.0.0.1:10809"; text such as 192.168.1.5/],
    ['disks: [{ type: nbd-tcp, host: "nbd://a" }]', /host is "nbd:\/\/a"; text such as/],
    ['disks: [{ type: nbd-tcp, host: "a b" }]', /host is "a b"; text such as/],
    ['disks: [{ type: iscsi, portal: "::1", target: iqn.a }]', /portal is "::1"; text such as/],
    ['disks: [{ type: iscsi, portal: "a:b", target: iqn.a }]', /portal is "a:b"; text such as/],
    [
      'disks: [{ type: iscsi, portal: a, target: iqn.a/1 }]',
      /target is "iqn.a\/1"; text of at most 223 .*|target is "iqn.a\/1"; text such as iqn/,
    ],
    ['disks: ["nbd://10.0.0.1/data"]', /file is "nbd:\/\/10.0.0.1\/data"; a path is wanted/],
    ['fw-cfg: [{ name: etc/e820, string: a }]', /QEMU itself gives the guest etc\/e820/],
    [
      'gpu: { type: passthrough, pci: "0000:03:00.0" }\ndisplay: { type: looking-glass, window: bad }',
      /window is "bad"; a word such as/,
    ],
  ])('is a fault in %j', (vm, fault) => {
    expect(told(vm).faults).toEqual([expect.stringMatching(fault)]);
  });

  it('is each node of memory that is no whole pages', () => {
    expect(
      told('memory: 2000000K\nnuma: [{ memory: 1000001K, cpus: 0 }, { memory: 999999K, cpus: 1 }]\ncpu: 2').faults,
    ).toEqual([
      'node0.memory is 1000001K; QEMU wants a multiple of 4K here',
      'node1.memory is 999999K; QEMU wants a multiple of 4K here',
    ]);
  });

  it.each([
    'memory: 3G\nnuma: [{ type: memfd, memory: 1G, huge-pages: 1G, cpus: 0 }, { memory: 2G, cpus: 1 }]\ncpu: 2',
    'gpu: { type: virtio-vga, hostmem: 4M }',
    'memory: 1000001K',
    'memory: { size: 1000001K, max: 2000004K, slots: 2 }',
    'memory: { type: memfd, size: 1000008K }',
    'memory: { type: memfd, size: 4098M, huge-pages: 2M }',
    'network: [{ net: 10.0.0.0/29 }]',
    'network: [{ net: 10.0.0.0/16, dns: 10.0.0.2 }]',
    'network: [{ net: 10.0.0.0/30, host: 10.0.0.1, dns: 10.0.0.2, dhcpstart: 10.0.0.3 }]',
    'gpu: { type: bochs, memory: 4M }',
    'disks: [{ file: a, bps-total: 100M, bps-total-max: 100M }]',
    `disks: [{ file: a, bus: nvme, serial: ${LONG.slice(0, 20)} }]`,
    `disks: [{ file: a, bus: scsi, serial: ${LONG.slice(0, 36)} }]`,
    'memory: 2G\nnuma: [{ memory: 1G, cpus: 0-1, distances: [10, 20] }, { memory: 1G, cpus: 2-3, distances: [20, 10] }]\ncpu: 4',
    'network: [{ net: 192.168.76.0/24, host: 192.168.76.2, dhcpstart: 192.168.76.9, dns: 192.168.76.3 }]',
    'network: [{ host: 10.0.2.200 }]',
    'disks: [{ type: nbd-tcp, host: "::1" }, { type: nbd-tcp, host: "fe80::1%eth0" }, { type: nbd-tcp, host: nas_1.home. }]',
    'disks: [{ type: iscsi, portal: "[::1]:3261", target: iqn.a }, { type: iscsi, portal: "nas:3260", target: eui.02004567A425678D }]',
    'disks: ["./nbd:a", "nbd-image", "http.raw"]',
    'fw-cfg: [{ name: opt/ovmf/X-PciMmio64Mb, string: "65536" }]',
    'network: [{ type: socket, mcast: "239.255.0.1:5" }]',
    'spice: unix\nusb: [{ type: redirection, filter: "-1:-1:-1:-1:1" }]',
  ])('is not %j', (vm) => {
    expect(told(vm).faults).toEqual([]);
  });

  it.each([
    ['name: foo', /which may come to use foo/],
    ['name: etc/sercon-port', /a setting of the firmware's own/],
    ['name: opt/org.qemu/x', /kept for QEMU itself/],
  ])('may be the name of something else: %s', (name, warning) => {
    expect(told(`fw-cfg: [{ ${name}, string: a }]`).warnings).toEqual([expect.stringMatching(warning)]);
  });

  it.each([
    'display: egl-headless\nspice: unix',
    'display: spice\nspice: { gl: on }',
    'display: { type: dbus, gl: on }',
  ])('is a host without a GPU for %j', (vm) => {
    expect(told(vm).unmet).toEqual([]);
    expect(told(vm, { ...LAPTOP, renderNodes: ['/dev/dri/renderD128'] }).unmet).toEqual([]);
    expect(told(vm, { ...LAPTOP, renderNodes: [] }).unmet).toEqual([
      expect.stringMatching(/draws with a GPU of the host, and there is none in \/dev\/dri$/),
    ]);
  });
});

describe('what would be of no use', () => {
  it.each([
    ['display: egl-headless', 'display: what it draws is shown by no server'],
    ['display: looking-glass', 'Looking Glass shows what a graphics card of the host draws, and none is handed over'],
    [
      `disks: [{ file: a, serial: ${LONG.slice(0, 21)} }]`,
      'disk0: the guest reads the first 20 characters of the serial number',
    ],
    [
      'audio: { backend: pa }',
      'audio.backend is pa, and your session has no such sound server; QEMU does not start without it',
    ],
  ])('is told of %j', (vm, warning) => {
    expect(told(vm, { ...LAPTOP, sound: ['alsa'] }).warnings).toContain(warning);
  });

  it.each([
    'display: egl-headless\nvnc: unix',
    'gpu: { type: passthrough, pci: "0000:03:00.0" }\ndisplay: looking-glass',
  ])('is not told of %j', (vm) => {
    expect(told(vm).warnings).toEqual([]);
  });
});

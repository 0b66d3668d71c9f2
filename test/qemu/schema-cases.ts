import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QemuOption, QemuProps } from '../../src/qemu/option.ts';

export const ORIGIN = { file: 'vm.yaml', line: 7, column: 3 };

export function option(name: string, args: QemuProps): QemuOption {
  return { name, args, origin: ORIGIN };
}

const NULL_DISK = option('blockdev', { driver: 'null-co', 'node-name': 'disk', size: 1048576 });
const USER_NET = option('netdev', { type: 'user', id: 'net0' });
/** QEMU makes it, and leaves it when it is killed. */
export const SOCKET_PATH: string = join(tmpdir(), `ezvm-schema-${process.pid}.sock`);

const SOCKET = option('chardev', { backend: 'null', id: 'chr' });
const SCSI = option('device', { driver: 'virtio-scsi-pci', id: 'scsi' });

/** What every QEMU from 6.2 on takes. */
export const RIGHT: readonly (readonly QemuOption[])[] = [
  [option('machine', { type: 'q35', smm: true, vmport: false, 'kernel-irqchip': 'split', hpet: false, usb: false })],
  [option('machine', { type: 'pc', dump_guest_core: false, graphics: true })],
  [
    option('cpu', {
      model: 'max',
      'hv-relaxed': true,
      hv_vapic: true,
      aes: true,
      svm: false,
      kvm: false,
      'tsc-freq': 1000000000,
    }),
  ],
  [option('smp', { cpus: 2, sockets: 1, cores: 2, threads: 1 })],
  [option('m', { size: '64M', slots: 2, maxmem: '1G' })],
  [option('boot', { order: 'c', menu: true, strict: true, 'reboot-timeout': 1000 })],
  [option('rtc', { base: 'localtime', driftfix: 'slew' })],
  [option('name', { guest: 'a', 'debug-threads': true })],
  [option('msg', { timestamp: true })],
  [option('global', { driver: 'cfi.pflash01', property: 'secure', value: 'on' })],
  [option('global', { driver: 'virtio-pci', property: 'modern-pio-notify', value: 'on' })],
  [option('overcommit', { 'mem-lock': false })],
  [
    NULL_DISK,
    option('blockdev', {
      driver: 'raw',
      'node-name': 'raw',
      file: 'disk',
      'read-only': true,
      cache: { direct: false, 'no-flush': true },
    }),
  ],
  [option('blockdev', { driver: 'raw', 'node-name': 'raw', discard: 'unmap', file: { driver: 'null-co', size: 512 } })],
  [
    USER_NET,
    option('device', {
      driver: 'virtio-net-pci',
      netdev: 'net0',
      mac: '52:54:00:11:22:33',
      bus: 'pcie.0',
      addr: '5.0',
      bootindex: 1,
      mq: false,
      rx_queue_size: 256,
      'disable-legacy': 'on',
    }),
  ],
  [
    option('netdev', {
      type: 'user',
      id: 'n',
      ipv6: false,
      net: '10.0.9.0/24',
      hostfwd: [{ str: 'tcp:127.0.0.1:0-:22' }],
    }),
  ],
  [option('device', { driver: 'virtio-rng-pci', 'max-bytes': 1024, period: 1000, addr: 48 })],
  [option('object', { 'qom-type': 'memory-backend-ram', id: 'mem', size: 1048576, prealloc: false })],
  [
    option('object', { 'qom-type': 'rng-random', id: 'rng', filename: '/dev/urandom' }),
    option('device', { driver: 'virtio-rng-pci', rng: 'rng' }),
  ],
  [
    option('object', { 'qom-type': 'iothread', id: 'io' }),
    NULL_DISK,
    option('device', { driver: 'virtio-blk', drive: 'disk', iothread: 'io', serial: '0001', 'num-queues': 2 }),
  ],
  [
    SCSI,
    NULL_DISK,
    option('device', {
      driver: 'scsi-hd',
      bus: 'scsi.0',
      drive: 'disk',
      'scsi-id': 0,
      device_id: 'disk0',
      rotation_rate: 1,
      wwn: 5,
    }),
  ],
  [
    SOCKET,
    option('device', { driver: 'virtio-serial' }),
    option('device', { driver: 'virtserialport', chardev: 'chr', name: 'org.qemu.guest_agent.0' }),
  ],
  [
    option('chardev', {
      backend: 'socket',
      id: 'chr',
      path: SOCKET_PATH,
      server: true,
      wait: false,
      logappend: false,
    }),
  ],
  [option('device', { driver: 'pcie-root-port', id: 'rp', chassis: 1, port: 16, multifunction: true, addr: '1c.0' })],
  [
    option('device', { driver: 'qemu-xhci', id: 'xhci', p2: 8, p3: 8 }),
    option('device', { driver: 'usb-tablet', bus: 'xhci.0' }),
  ],
  [option('sandbox', { enable: true, obsolete: 'deny', spawn: 'deny' })],
];

/** One fault each: options, its code and what its message says after QEMU's name. */
export const WRONG: readonly (readonly [readonly QemuOption[], string, string])[] = [
  [
    [NULL_DISK, option('device', { driver: 'virtio-blk-pci', drive: 'disk', queus: 4 })],
    'qemu-property-unknown',
    '\'s virtio-blk-pci has no property "queus"; did you mean "num-queues"?',
  ],
  [
    [NULL_DISK, option('device', { driver: 'virtio-blk-pci', drive: 'disk', seral: 'x' })],
    'qemu-property-unknown',
    '\'s virtio-blk-pci has no property "seral"; did you mean "serial"?',
  ],
  [
    [NULL_DISK, option('device', { driver: 'virtio-blk-pcj', drive: 'disk' })],
    'qemu-driver-unknown',
    ' has no device "virtio-blk-pcj"; did you mean "virtio-blk-pci"?',
  ],
  [[option('device', { id: 'x' })], 'qemu-member-missing', '\'s -device needs "driver"'],
  [
    [NULL_DISK, option('device', { driver: 'virtio-blk-pci', drive: 'disk', 'num-queues': '4' })],
    'qemu-property-type',
    '\'s virtio-blk-pci wants a whole number for num-queues, not "4"',
  ],
  [
    [NULL_DISK, option('device', { driver: 'virtio-blk-pci', drive: 'disk', serial: 12 })],
    'qemu-property-type',
    "'s virtio-blk-pci wants a string for serial, not 12",
  ],
  [
    [USER_NET, option('device', { driver: 'virtio-net-pci', netdev: 'net0', mq: 'on' })],
    'qemu-property-type',
    '\'s virtio-net-pci wants true or false for mq, not "on"',
  ],
  [
    [USER_NET, option('device', { driver: 'virtio-net-pci', netdev: 'net0', 'disable-legacy': true })],
    'qemu-property-type',
    '\'s virtio-net-pci wants "on", "off" or "auto" for disable-legacy, not true',
  ],
  [
    [USER_NET, option('device', { driver: 'virtio-net-pci', netdev: 'net0', addr: true })],
    'qemu-property-type',
    '\'s virtio-net-pci wants a slot, such as "1f.2" for addr, not true',
  ],
  [
    [option('netdev', { type: 'user', id: 'n', hostfw: [] })],
    'qemu-member-unknown',
    '\'s -netdev user has no "hostfw"; did you mean "hostfwd"?',
  ],
  [
    [option('netdev', { type: 'usr', id: 'n' })],
    'qemu-value-invalid',
    '\'s -netdev has no type "usr"; did you mean "user"?',
  ],
  [[option('netdev', { type: 'user' })], 'qemu-member-missing', '\'s -netdev user needs "id"'],
  [[option('netdev', { id: 'n' })], 'qemu-member-missing', '\'s -netdev needs "type"'],
  [
    [option('netdev', { type: 'user', id: 'n', hostfwd: [{ st: 'x' }] })],
    'qemu-member-unknown',
    '\'s -netdev user has no "hostfwd[0].st"; did you mean "hostfwd[0].str"?',
  ],
  [[option('blockdev', { driver: 'raw', 'node-name': 'r' })], 'qemu-member-missing', '\'s -blockdev raw needs "file"'],
  [
    [option('blockdev', { driver: 'qcw2', file: 'x' })],
    'qemu-value-invalid',
    '\'s -blockdev has no driver "qcw2"; did you mean "qcow2"?',
  ],
  [
    [option('blockdev', { driver: 'raw', file: { driver: 'file', filenam: '/dev/null' } })],
    'qemu-member-unknown',
    '\'s -blockdev raw has no "file.filenam"; did you mean "file.filename"?',
  ],
  [
    [option('blockdev', { driver: 'null-co', size: '1M' })],
    'qemu-value-invalid',
    '\'s -blockdev null-co wants a whole number for "size", not "1M"',
  ],
  [
    [option('blockdev', { driver: 'null-co', 'read-only': 'on' })],
    'qemu-value-invalid',
    '\'s -blockdev null-co wants true or false for "read-only", not "on"',
  ],
  [
    [option('blockdev', { driver: 'null-co', discard: 'yes' })],
    'qemu-value-invalid',
    '\'s -blockdev null-co has no discard "yes"; use ignore, unmap',
  ],
  [
    [option('blockdev', { driver: 'null-co', cache: 'none' })],
    'qemu-value-invalid',
    '\'s -blockdev null-co wants a map for "cache", not "none"',
  ],
  [
    [option('object', { 'qom-type': 'memory-backend-ram', id: 'm', size: '128M' })],
    'qemu-value-invalid',
    '\'s -object memory-backend-ram wants a whole number for "size", not "128M"',
  ],
  [
    [option('object', { 'qom-type': 'memory-backend-ran', id: 'm', size: 1 })],
    'qemu-value-invalid',
    '\'s -object has no qom-type "memory-backend-ran"; did you mean "memory-backend-ram"?',
  ],
  [
    [option('object', { 'qom-type': 'iothread', id: 'm', 'poll-max': 1 })],
    'qemu-member-unknown',
    '\'s -object iothread has no "poll-max"; did you mean "poll-max-ns"?',
  ],
  [
    [option('chardev', { backend: 'sockt', id: 'c', path: '/x' })],
    'qemu-value-invalid',
    '\'s -chardev has no backend "sockt"; did you mean "socket"?',
  ],
  [
    [option('chardev', { backend: 'null', id: 'c', pth: '/x' })],
    'qemu-parameter-unknown',
    '\'s -chardev has no "pth"; did you mean "path"?',
  ],
  [[option('chardev', { backend: 'null' })], 'qemu-member-missing', '\'s -chardev needs "id"'],
  [
    [option('machine', { type: 'q35', vmprot: false })],
    'qemu-property-unknown',
    '\'s machine q35 has no property "vmprot"; did you mean "vmport"?',
  ],
  [
    [option('cpu', { model: 'max', 'hv-relaxd': true })],
    'qemu-property-unknown',
    '\'s -cpu has no flag "hv-relaxd"; did you mean "hv-relaxed"?',
  ],
  [[option('smp', { cpus: 2, core: 2 })], 'qemu-parameter-unknown', '\'s -smp has no "core"; did you mean "cores"?'],
  [[option('m', { siz: '64M' })], 'qemu-parameter-unknown', '\'s -m has no "siz"; did you mean "size"?'],
  [[option('boot', { ordr: 'c' })], 'qemu-parameter-unknown', '\'s -boot has no "ordr"; did you mean "order"?'],
  [[option('rtc', { bse: 'utc' })], 'qemu-parameter-unknown', '\'s -rtc has no "bse"; did you mean "base"?'],
  [
    [option('sandbox', { enable: true, spwan: 'deny' })],
    'qemu-parameter-unknown',
    '\'s -sandbox has no "spwan"; did you mean "spawn"?',
  ],
  [
    [option('display', { type: 'egl-headles' })],
    'qemu-value-invalid',
    '\'s -display has no type "egl-headles"; did you mean "egl-headless"?',
  ],
  [
    [option('display', { type: 'none', glx: true })],
    'qemu-member-unknown',
    '\'s -display none has no "glx"; did you mean "gl"?',
  ],
];

/** QEMU ignores these on some machines, though no VM wants them: -global is about a device that may never be made. */
export const IGNORED_BY_QEMU: readonly (readonly [readonly QemuOption[], string, string])[] = [
  [
    [option('global', { driver: 'virtio-blk-pci', property: 'seral', value: 'x' })],
    'qemu-property-unknown',
    '\'s virtio-blk-pci has no property "seral"; did you mean "serial"?',
  ],
];

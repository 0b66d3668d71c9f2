import { beforeAll, describe, expect, it } from 'vitest';
import { probeQemu, probeSchema } from '../../src/host/capabilities.ts';
import type { QemuSchema } from '../../src/host/facts.ts';
import { startPaused } from '../../src/host/paused-qemu.ts';
import { readReplies } from '../../src/host/replies.ts';
import { compareVersions, type QemuOption, type QemuProps } from '../../src/qemu/option.ts';
import type { QapiEntity } from '../../src/qemu/qapi.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { checkOptions } from '../../src/qemu/schema.ts';
import { NO_QEMU, NO_RECORDINGS, QEMU, RECORDINGS, readRecording } from './recordings.ts';

const ORIGIN = { file: 'vm.yaml', line: 7, column: 3 };

function option(name: string, args: QemuProps): QemuOption {
  return { name, args, origin: ORIGIN };
}

const NULL_DISK = option('blockdev', { driver: 'null-co', 'node-name': 'disk', size: 1048576 });
const USER_NET = option('netdev', { type: 'user', id: 'net0' });
const SOCKET = option('chardev', { backend: 'null', id: 'chr' });
const SCSI = option('device', { driver: 'virtio-scsi-pci', id: 'scsi' });

/** What every QEMU from 6.2 on takes. */
const RIGHT: readonly (readonly QemuOption[])[] = [
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
      path: '/tmp/ezvm-schema-test.sock',
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
const WRONG: readonly (readonly [readonly QemuOption[], string, string])[] = [
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
const IGNORED_BY_QEMU: readonly (readonly [readonly QemuOption[], string, string])[] = [
  [
    [option('global', { driver: 'virtio-blk-pci', property: 'seral', value: 'x' })],
    'qemu-property-unknown',
    '\'s virtio-blk-pci has no property "seral"; did you mean "serial"?',
  ],
];

function messages(options: readonly QemuOption[], schema: QemuSchema): string[] {
  return checkOptions(options, schema).map(({ message }) => message);
}

describe.skipIf(NO_RECORDINGS)('checkOptions on recorded QEMUs (left out where ../shared/cases is absent)', () => {
  describe.each(RECORDINGS)('$name', (recording) => {
    let schema: QemuSchema;
    let name: string;
    beforeAll(() => {
      schema = readReplies(readRecording(recording), recording.name).schema;
      const { major, minor, micro } = schema.version;
      name = `QEMU ${major}.${minor}.${micro}`;
    });

    it.each(
      RIGHT.map(
        (options) => [options.map(({ name, args }) => `-${name} ${JSON.stringify(args)}`).join(' '), options] as const,
      ),
    )('takes %s', (_, options) => {
      expect(messages(options, schema)).toEqual([]);
    });

    it.each([...WRONG, ...IGNORED_BY_QEMU].map(([options, code, says]) => [says, code, options] as const))(
      'says %s',
      (says, code, options) => {
        // Before 7.2 -display was not all in the schema.
        const known = !/-display/.test(says) || compareVersions(schema.version, { major: 7, minor: 2, micro: 0 }) >= 0;
        const driver = options.find(({ name }) => name === 'device')?.args;
        const device = typeof driver === 'object' ? String(driver['driver']) : '';
        const listed =
          (code !== 'qemu-property-unknown' && code !== 'qemu-property-type') ||
          device === '' ||
          device in schema.properties;
        expect(checkOptions(options, schema)).toEqual(
          known && listed
            ? [expect.objectContaining({ severity: 'error', code, message: name + says, origin: ORIGIN })]
            : [],
        );
      },
    );

    it('has no -run-with before 8.1, and says so', () => {
      const said = messages([option('run-with', { chroot: '/' })], schema);
      const has = compareVersions(schema.version, { major: 8, minor: 1, micro: 0 }) >= 0;
      expect(said).toEqual(has ? [] : [`${name} has no -run-with`]);
    });

    it('takes -audiodev as far as its schema tells', () => {
      expect(messages([option('audiodev', { driver: 'none', id: 'a', out: { frequency: 48000 } })], schema)).toEqual(
        [],
      );
      const told = compareVersions(schema.version, { major: 8, minor: 0, micro: 0 }) >= 0;
      expect(messages([option('audiodev', { driver: 'none', id: 'a', timerperiod: 5 })], schema)).toEqual(
        told ? [`${name}'s -audiodev none has no "timerperiod"; did you mean "timer-period"?`] : [],
      );
    });

    it('knows every property that it lists, and refuses one more', () => {
      for (const driver of Object.keys(schema.properties).filter((type) => schema.devices.includes(type))) {
        const all = Object.keys(schema.properties[driver] ?? {});
        const unknown = (names: readonly string[]): string[] =>
          checkOptions(
            [option('device', Object.fromEntries([['driver', driver], ...names.map((one) => [one, 'x'])]))],
            schema,
          )
            .filter(({ code }) => code === 'qemu-property-unknown')
            .map(({ message }) => message);
        expect(unknown(all)).toEqual([]);
        expect(unknown([...all, 'zzyzx'])).toHaveLength(1);
      }
    });
  });
});

describe('checkOptions', () => {
  const schema: QemuSchema = {
    version: { major: 9, minor: 0, micro: 0 },
    qapi: [],
    devices: [],
    properties: {},
    options: {},
  };

  it('says nothing about what an empty schema does not tell', () => {
    const silent = RIGHT.flat().filter(({ name }) => name !== 'device' && name !== 'sandbox');
    expect(messages(silent, schema)).toEqual([]);
    expect(
      messages(
        [
          { name: 'nodefaults', args: true },
          { name: 'kernel', args: '/vmlinuz' },
        ],
        schema,
      ),
    ).toEqual([]);
  });

  it('points at the package of a device that lives in a module', () => {
    expect(checkOptions([option('device', { driver: 'virtio-vga-gl' })], schema)[0]?.help).toMatch(/qemu-system-gui/);
    expect(checkOptions([option('device', { driver: 'nope' })], schema)[0]?.help).toBe(
      'list them with: qemu-system-x86_64 -device help',
    );
  });

  it('does not check devices whose properties were never listed, nor properties of lists', () => {
    const told = { ...schema, devices: ['a', 'b'], properties: { b: { 'len-regions': 'uint32' } } };
    expect(messages([option('device', { driver: 'a', anything: 1 })], told)).toEqual([]);
    expect(messages([option('device', { driver: 'b', 'len-regions': 1, 'regions[0]': 'x' })], told)).toEqual([]);
  });

  it('reads enumerations of QEMUs that no longer give them as values, and arrays, nulls and branches with branches', () => {
    const object = (name: string, members: QapiEntity['members'], more: Partial<QapiEntity> = {}): QapiEntity => ({
      name,
      'meta-type': 'object',
      members: members ?? [],
      ...more,
    });
    const qapi: QapiEntity[] = [
      { name: 'object-add', 'meta-type': 'command', 'arg-type': '1' },
      object('1', [{ name: 'kind', type: '2' }], {
        tag: 'kind',
        variants: [
          { case: 'a', type: '3' },
          { case: 'b', type: '5' },
        ],
      }),
      { name: '2', 'meta-type': 'enum', members: [{ name: 'a' }, { name: 'b' }] },
      object(
        '3',
        [
          { name: 'sub', type: '2' },
          { name: 'list', type: '[int]', default: null },
        ],
        { tag: 'sub', variants: [{ case: 'b', type: '4' }] },
      ),
      object('4', [{ name: 'deep', type: 'null' }]),
      object('5', []),
      { name: '[int]', 'meta-type': 'array', 'element-type': 'int' },
      { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
      { name: 'null', 'meta-type': 'builtin', 'json-type': 'null' },
    ];
    const says = (args: QemuProps): string[] => messages([option('object', args)], { ...schema, qapi });
    expect(says({ kind: 'b' })).toEqual([]);
    expect(says({ kind: 'wool' })).toEqual(['QEMU 9.0.0\'s -object has no kind "wool"; use a, b']);
    expect(says({ kind: 'a' })).toEqual(['QEMU 9.0.0\'s -object needs "sub"']);
    expect(says({ kind: 'a', sub: 'a', list: [1, 2] })).toEqual([]);
    expect(says({ kind: 'a', sub: 'b' })).toEqual(['QEMU 9.0.0\'s -object needs "deep"']);
    expect(says({ kind: 'a', sub: 'b', deep: 'x', list: [1, 'y'] })).toEqual([
      'QEMU 9.0.0\'s -object wants null for "deep", not "x"',
      'QEMU 9.0.0\'s -object wants a whole number for "list[1]", not "y"',
    ]);
  });
});

describe.skipIf(NO_QEMU)('checkOptions and the QEMU of this machine (left out where there is none)', () => {
  let schema: QemuSchema;
  beforeAll(async () => {
    schema = await probeSchema(await probeQemu(QEMU));
  });

  /** Why QEMU refuses the options; undefined when it takes them. */
  async function refusal(options: readonly QemuOption[]): Promise<string | undefined> {
    const machine = options.some(({ name }) => name === 'machine') ? [] : [option('machine', { type: 'q35' })];
    const args = renderOptions([...machine, ...options], 'json', schema.version);
    try {
      const qemu = await startPaused(QEMU, args);
      try {
        await qemu.qmp.execute('query-status');
        return undefined;
      } catch (error) {
        return await qemu.explain(error as Error);
      } finally {
        await qemu.stop();
      }
    } catch (error) {
      return (error as Error).message;
    }
  }

  it.each(
    RIGHT.map(
      (options) => [options.map(({ name, args }) => `-${name} ${JSON.stringify(args)}`).join(' '), options] as const,
    ),
  )('both take %s', async (_, options) => {
    expect(messages(options, schema)).toEqual([]);
    expect(await refusal(options)).toBeUndefined();
  });

  it.each(WRONG.map(([options, , says]) => [says, options] as const))('both refuse what %s', async (_, options) => {
    expect(messages(options, schema)).toHaveLength(1);
    expect(await refusal(options)).toEqual(expect.any(String));
  });
});

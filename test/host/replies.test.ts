import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { readReplies } from '../../src/host/replies.ts';
import { formatVersion } from '../../src/qemu/option.ts';
import { NO_RECORDINGS, RECORDINGS, readRecording } from '../qemu/recordings.ts';

const SMALL = [
  { execute: 'query-version', id: 1 },
  { return: { qemu: { major: 9, minor: 1, micro: 2 }, package: 'Debian' }, id: 1 },
  { execute: 'query-target' },
  { return: { arch: 'aarch64' } },
  { execute: 'query-kvm' },
  { return: { enabled: false, present: true } },
  { execute: 'qom-list-types' },
  {
    return: [
      { name: 'virtio-gpu-gl-pci' },
      { name: 'e1000' },
      { name: 'virt-9.1-machine' },
      { name: 'max-arm-cpu' },
      { name: 'iothread' },
    ],
  },
  { execute: 'query-machines' },
  { return: [{ name: 'virt-9.1', alias: 'virt' }, { name: 'none' }] },
  { execute: 'device-list-properties', arguments: { typename: 'nope' } },
  { error: { class: 'DeviceNotFound', desc: "Device 'nope' not found" } },
  { execute: 'device-list-properties', arguments: { typename: 'e1000' } },
  { return: [{ name: 'mac', type: 'str', description: 'x' }] },
  { execute: 'query-qmp-schema' },
  {
    return: [
      { name: 'object-add', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '0' },
      { name: '1', 'meta-type': 'object', members: [{ name: 'qom-type', type: '2' }] },
      { name: '2', 'meta-type': 'enum', members: [{ name: 'iothread' }, { name: 'absent' }] },
    ],
  },
];

function recorded(documents: readonly unknown[], between = '\n\n'): string {
  return documents.map((one) => JSON.stringify(one, null, 2)).join(between);
}

function refusal(text: string): EzvmError {
  try {
    readReplies(text, 'some.replies');
  } catch (error) {
    if (error instanceof EzvmError) return error;
  }
  throw new Error('it was not refused');
}

describe('readReplies', () => {
  it.each(['\n\n', '\r\n\r\n', '\n \t\n\n', '\n\n\n\n'])(
    'reads requests and answers with %j between them',
    (between) => {
      const { qemu, schema, kvm } = readReplies(recorded(SMALL, between), 'some.replies');
      expect(kvm).toBe(false);
      expect(qemu).toEqual({
        binary: '/usr/bin/qemu-system-aarch64',
        version: { major: 9, minor: 1, micro: 2 },
        package: 'Debian',
        arch: 'aarch64',
        machines: { none: 'none', virt: 'virt-9.1', 'virt-9.1': 'virt-9.1' },
        // Without its other half virtio-gpu-gl-pci kills QEMU.
        devices: ['e1000'],
        objects: ['iothread'],
        maxCpus: {},
        cpuModels: [],
        netdevs: [],
        audiodevs: expect.arrayContaining(['none', 'alsa']),
        displays: [],
        tpmTypes: [],
        spice: false,
        sandbox: false,
      });
      expect(schema).toMatchObject({ devices: ['e1000'], properties: { e1000: { mac: 'str' } }, options: {} });
      expect(Object.keys(schema.properties)).toEqual(['e1000']);
    },
  );

  it('leaves out events, the greeting and a request without an answer', () => {
    const documents = [{ QMP: {} }, ...SMALL.slice(0, 1), { event: 'STOP' }, ...SMALL.slice(1), { execute: 'quit' }];
    expect(readReplies(recorded(documents), 'x').qemu.version.major).toBe(9);
  });

  it.each([
    ['', 'it holds no answer to query-version'],
    ['hello\nworld\n', 'no JSON object begins at line 1'],
    ['{"execute": "query-version"}\n\n[1]\n', 'no JSON object begins at line 3'],
    ['\n\n{"execute": "a"}\n\n\n{"return":\n', 'no JSON object begins at line 6'],
    ['\0\x7fELF\n\n\x01\x02', 'no JSON object begins at line 1'],
    [recorded(SMALL.slice(2)), 'it holds no answer to query-version'],
    [recorded([SMALL[0], { return: { qemu: { major: '9' } } }]), 'it holds no answer to query-version'],
    [recorded(SMALL.slice(0, 2)), 'it holds no answer to qom-list-types'],
  ])('refuses %j', (text, reason) => {
    const error = refusal(text);
    expect(error.exit).toBe(1);
    expect(error.diagnostics).toEqual([
      expect.objectContaining({
        code: 'replies-invalid',
        message: `some.replies is no recorded QMP session: ${reason}`,
        help: expect.stringContaining('JSON'),
      }),
    ]);
  });
});

describe.skipIf(NO_RECORDINGS)('readReplies on recorded QEMUs (left out where ../shared/cases is absent)', () => {
  it.each(RECORDINGS)('$name', (recording) => {
    const { qemu, schema, kvm } = readReplies(readRecording(recording), recording.name);
    const version = formatVersion(qemu.version);
    expect(recording.name).toContain(version);
    expect(qemu).toMatchObject({ arch: 'x86_64', spice: true, tpmTypes: ['passthrough', 'emulator'] });
    expect(qemu.machines['q35']).toBe(`pc-q35-${qemu.version.major}.${qemu.version.minor}`);
    expect(qemu.machines['none']).toBe('none');
    expect(qemu.devices).toEqual(
      expect.arrayContaining(['virtio-blk-pci', 'virtio-net-pci', 'qemu-xhci', 'vfio-pci', 'tpm-crb']),
    );
    expect(qemu.devices.filter((name) => /-cpu$|-machine$|-accel$/.test(name))).toEqual([]);
    expect(qemu.objects).toEqual(
      expect.arrayContaining(['memory-backend-memfd', 'iothread', 'rng-random', 'secret', 'input-linux']),
    );
    expect(qemu.devices.filter((name) => qemu.objects.includes(name))).toEqual([]);
    expect(qemu.cpuModels).toEqual(expect.arrayContaining(['host', 'max', 'qemu64']));
    expect(qemu.netdevs).toEqual(expect.arrayContaining(['user', 'tap', 'bridge', 'vhost-user']));
    expect(qemu.netdevs).not.toContain('nic');
    expect(qemu.displays).toEqual(expect.arrayContaining(['none', 'egl-headless', 'spice-app']));
    expect(qemu.displays).not.toContain('default');
    expect(qemu.audiodevs).toEqual(expect.arrayContaining(['none', 'alsa', 'spice']));
    expect(qemu.audiodevs.includes('pipewire')).toBe(recording.complete && qemu.version.major >= 8);
    expect(schema.version).toEqual(qemu.version);
    expect(schema.devices).toEqual(qemu.devices);
    expect(schema.properties['virtio-blk-pci']).toMatchObject({
      serial: 'str',
      'num-queues': 'uint16',
      'share-rw': 'bool',
    });
    expect(schema.properties['max-x86_64-cpu']).toMatchObject({ 'hv-relaxed': 'bool' });
    expect(Object.keys(schema.properties).filter((type) => type.endsWith('-cpu'))).toEqual(['max-x86_64-cpu']);
    expect(schema.options['spice']).toContain('disable-ticketing');
    expect(kvm).toBe(recording.complete ? undefined : true);
    if (recording.complete) for (const device of qemu.devices) expect(schema.properties[device]).toBeDefined();
  });
});

describe.skipIf(NO_RECORDINGS)('the hosts of the golden tests (left out where ../shared/cases is absent)', () => {
  it.each([
    ['laptop', 'qemu-10.0.13'],
    ['bare', 'qemu-7.2.22'],
  ])('%s has the machines, objects and CPUs of %s', (host, recorded) => {
    const facts = JSON.parse(readFileSync(new URL(`../hosts/${host}.json`, import.meta.url), 'utf8'));
    const recording = RECORDINGS.find(({ name }) => name === recorded);
    const { qemu } = readReplies(recording ? readRecording(recording) : '', recorded);
    const { version, machines, objects, cpuModels } = qemu;
    expect(facts.qemu).toMatchObject({ version, machines, objects, cpuModels });
    expect(qemu.devices).toEqual(expect.arrayContaining(facts.qemu.devices));
  });
});

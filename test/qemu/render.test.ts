import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { startPaused } from '../../src/host/paused-qemu.ts';
import { findProgram } from '../../src/host/programs.ts';
import type { QemuOption, QemuProps } from '../../src/qemu/option.ts';
import { renderOption, renderOptions, type Style } from '../../src/qemu/render.ts';
import { hostileText } from '../hostile-text.ts';
import { readKeyval } from './option-text.ts';

const QEMU_10 = { major: 10, minor: 0, micro: 0 };
const QEMU_6_0 = { major: 6, minor: 0, micro: 0 };

function keyval(name: string, args: QemuProps): string {
  return renderOption({ name, args }, 'keyval', QEMU_10)[1] ?? '';
}

describe('key=value', () => {
  it('is understood by the rules of QEMU as the very properties', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(key, hostileText()), { minLength: 1, selector: ([name]) => name }),
        (pairs) => {
          expect(readKeyval(keyval('smbios', Object.fromEntries(pairs)))).toEqual(pairs);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is so when the first key could be left out', () => {
    fc.assert(
      fc.property(hostileText(), hostileText(), (model, value) => {
        const text = keyval('machine', { type: model, x: value });
        expect(readKeyval(text, 'type')).toEqual([
          ['type', model],
          ['x', value],
        ]);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, QemuProps, string]>([
    ['device', { driver: 'e1000', id: 'net0' }, 'e1000,id=net0'],
    ['device', { id: 'net0', driver: 'e1000' }, 'id=net0,driver=e1000'],
    ['cpu', { model: 'max', aes: true, svm: false }, 'max,aes=on,svm=off'],
    ['smbios', { type: 1, serial: 'a,b' }, 'type=1,serial=a,,b'],
    [
      'object',
      { 'qom-type': 'memory-backend-ram', 'host-nodes': [0, 1] },
      'memory-backend-ram,host-nodes=0,host-nodes=1',
    ],
    ['blockdev', { driver: 'quorum', children: ['a', 'b'] }, 'quorum,children.0=a,children.1=b'],
    [
      'netdev',
      { type: 'user', hostfwd: [{ str: 'tcp::1-:2' }, { str: 'tcp::3-:4' }] },
      'user,hostfwd=tcp::1-:2,hostfwd=tcp::3-:4',
    ],
    [
      'blockdev',
      { driver: 'raw', file: { driver: 'file', cache: { direct: true } } },
      'raw,file.driver=file,file.cache.direct=on',
    ],
    ['object', { 'qom-type': 'x', list: [1, 2] }, 'x,list=1,list=2'],
    ['m', { size: '2G' }, 'size=2G'],
    ['machine', { type: 'a=b' }, 'type=a=b'],
    ['machine', { type: '' }, 'type='],
  ])('of -%s %j is %s', (name, args, text) => {
    expect(keyval(name, args)).toBe(text);
  });
});

describe('JSON', () => {
  it('is read back as the very properties', () => {
    fc.assert(
      fc.property(fc.dictionary(hostileText(), hostileText()), (args) => {
        const text = renderOption({ name: 'device', args: { driver: 'x', ...args } }, 'json', QEMU_10)[1] ?? '';
        expect(JSON.parse(text)).toEqual({ driver: 'x', ...args });
      }),
    );
  });

  it.each([
    ['device', '6.2.0', true],
    ['device', '6.1.9', false],
    ['netdev', '7.2.0', true],
    ['netdev', '7.1.0', false],
    ['blockdev', '6.2.0', true],
    ['chardev', '10.0.0', false],
    ['smbios', '10.0.0', false],
    ['machine', '10.0.0', false],
  ])('is what -%s gets from QEMU %s: %s', (name, text, json) => {
    const [major = 0, minor = 0, micro = 0] = text.split('.').map(Number);
    const [, argument = ''] = renderOption({ name, args: { driver: 'x' } }, 'json', { major, minor, micro });
    expect(argument.startsWith('{')).toBe(json);
  });

  it('is never what people get to read', () => {
    expect(renderOption({ name: 'device', args: { driver: 'x', id: 'y' } }, 'keyval', QEMU_10)).toEqual([
      '-device',
      'x,id=y',
    ]);
  });
});

it('flags and single words are rendered as they are', () => {
  const options: QemuOption[] = [
    { name: 'nodefaults', args: true },
    { name: 'append', args: '-x "a,b"' },
    { name: '-debug', args: true },
  ];
  expect(renderOptions(options, 'json', QEMU_10)).toEqual(['-nodefaults', '-append', '-x "a,b"', '--debug']);
});

const binary = findProgram('qemu-system-x86_64', (process.env['PATH'] ?? '').split(':'));

/** Just enough of a Linux kernel for QEMU to load it. */
function fakeKernel(): Buffer {
  const image = Buffer.alloc(8192);
  image[0x1f1] = 1;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x0202, 0x206);
  return image;
}

describe(`a real QEMU${binary === undefined ? ' (left out: there is none)' : ''}`, () => {
  const dir = mkdtempSync(join(tmpdir(), 'ezvm-render-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** Every character of which the promise is made, each between letters, at both ends, and doubled. */
  const NASTY = [
    ',',
    ' ',
    '"',
    "'",
    '\n',
    '$',
    '%',
    '\\',
    'é',
    '日',
    '😀',
    '=',
    '{',
    '}',
    '[',
    ':',
    ';',
    '#',
    '\t',
    '`',
    '*',
    '&',
    '\u001b',
  ].flatMap((each) => [`a${each}b`, `${each}`, `${each}${each}x${each}${each}`]);

  it.skipIf(binary === undefined)('is told its name as it is', async () => {
    for (const guest of ['a,b=c', 'id=x,,y', '"{}\'', 'a\nb', 'é日😀 $x %s \\', '-x', NASTY.join('')]) {
      const words = renderOption({ name: 'name', args: { guest, 'debug-threads': true } }, 'json', QEMU_10);
      const qemu = await startPaused(binary ?? '', ['-machine', 'none', ...words]);
      expect(await qemu.qmp.execute('query-name')).toEqual({ name: guest });
      await qemu.stop();
    }
  });

  it.skipIf(binary === undefined).each<Style>(['json', 'keyval'])('opens files of every name (%s)', async (style) => {
    const files = NASTY.map((name) => join(dir, style, name));
    mkdirSync(join(dir, style));
    for (const file of files) writeFileSync(file, Buffer.alloc(512));
    const options = files.map(
      (filename, index): QemuOption => ({
        name: 'blockdev',
        args: { driver: 'raw', 'node-name': `disk${index}`, file: { driver: 'file', filename } },
      }),
    );
    const qemu = await startPaused(binary ?? '', [
      '-machine',
      'none',
      ...renderOptions(options, style, style === 'json' ? QEMU_10 : QEMU_6_0),
    ]);
    const nodes = (await qemu.qmp.execute('query-named-block-nodes')) as { 'node-name': string; file: string }[];
    expect(files.map((_, index) => nodes.find((node) => node['node-name'] === `disk${index}`)?.file)).toEqual(files);
    await qemu.stop();
  });

  it.skipIf(binary === undefined).each<Style>(['json', 'keyval'])(
    'is told the serial numbers of devices (%s)',
    async (style) => {
      const options = NASTY.flatMap((serial, index): QemuOption[] => [
        { name: 'device', args: { driver: 'scsi-cd', id: `cd${index}`, bus: 'scsi.0', 'scsi-id': index, serial } },
      ]);
      const words = renderOptions(
        [{ name: 'device', args: { driver: 'virtio-scsi-pci', id: 'scsi' } }, ...options],
        style,
        QEMU_10,
      );
      const qemu = await startPaused(binary ?? '', ['-machine', 'q35', '-accel', 'tcg', ...words]);
      const read = (index: number): Promise<unknown> =>
        qemu.qmp.execute('qom-get', { path: `/machine/peripheral/cd${index}`, property: 'serial' });
      for (const [index, serial] of NASTY.entries()) expect(await read(index)).toBe(serial);
      await qemu.stop();
    },
  );

  it.skipIf(binary === undefined)('is told the words of a kernel and the path of a socket', async () => {
    for (const [index, text] of NASTY.entries()) {
      if (index % 3 !== 0) continue;
      const kernel = join(dir, `k${index}${text.replaceAll('/', '')}`);
      writeFileSync(kernel, fakeKernel());
      const path = join(dir, `s${index}${text.replaceAll('/', '')}`);
      const options: QemuOption[] = [
        { name: 'kernel', args: kernel },
        { name: 'append', args: text },
        { name: 'chardev', args: { backend: 'socket', id: 'c', path, server: true, wait: false } },
        { name: 'smbios', args: { type: 1, serial: text, family: 'x' } },
      ];
      const qemu = await startPaused(binary ?? '', [
        '-machine',
        'pc,accel=tcg',
        ...renderOptions(options, 'json', QEMU_10),
      ]);
      const get = (property: string): Promise<unknown> => qemu.qmp.execute('qom-get', { path: '/machine', property });
      expect(await get('append')).toBe(text);
      expect(await get('kernel')).toBe(kernel);
      const chardevs = (await qemu.qmp.execute('query-chardev')) as { label: string; filename: string }[];
      expect(chardevs.find(({ label }) => label === 'c')?.filename).toContain(path);
      await qemu.stop();
    }
  });
});

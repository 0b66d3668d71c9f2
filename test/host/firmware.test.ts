import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readFirmware } from '../../src/host/firmware.ts';
import { scratch } from './scratch.ts';

const FLASH = {
  device: 'flash',
  executable: { filename: '/fw/CODE.fd', format: 'raw' },
  'nvram-template': { filename: '/fw/VARS.fd', format: 'raw' },
};

function descriptor(more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    description: 'x',
    'interface-types': ['uefi'],
    mapping: FLASH,
    targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
    features: ['secure-boot'],
    tags: [],
    ...more,
  });
}

function dirs(...contents: Record<string, string>[]): string[] {
  const root = scratch();
  return contents.map((files, n) => {
    const dir = join(root, String(n));
    mkdirSync(dir);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
    return dir;
  });
}

describe('readFirmware', () => {
  it('reads what a choice needs', () => {
    const [dir = ''] = dirs({ '50-x.json': descriptor() });
    expect(readFirmware([dir])).toEqual({
      descriptors: [
        {
          file: join(dir, '50-x.json'),
          interfaces: ['uefi'],
          executable: '/fw/CODE.fd',
          executableFormat: 'raw',
          nvramTemplate: '/fw/VARS.fd',
          nvramFormat: 'raw',
          mode: 'split',
          targets: [{ architecture: 'x86_64', machines: ['pc-q35-*'] }],
          features: ['secure-boot'],
        },
      ],
      diagnostics: [],
    });
  });

  it('sorts by name over all directories, byte by byte', () => {
    const all = dirs(
      { '50-b.json': descriptor(), '9-z.json': descriptor(), 'é.json': descriptor() },
      { '50-B.json': descriptor(), '40-a.json': descriptor() },
    );
    expect(readFirmware(all).descriptors.map(({ file }) => file.split('/').at(-1))).toEqual([
      '40-a.json',
      '50-B.json',
      '50-b.json',
      '9-z.json',
      'é.json',
    ]);
  });

  it('lets a later directory replace, and mask with an empty file or a link to /dev/null', () => {
    const all = dirs(
      { '1.json': descriptor(), '2.json': descriptor(), '3.json': descriptor(), '4.json': descriptor() },
      { '2.json': '', '4.json': '' },
      { '1.json': descriptor({ features: ['mine'] }), '4.json': descriptor() },
    );
    symlinkSync('/dev/null', join(all[1] ?? '', '3.json'));
    const { descriptors, diagnostics } = readFirmware(all);
    expect(descriptors.map(({ file, features }) => [file, features])).toEqual([
      [join(all[2] ?? '', '1.json'), ['mine']],
      [join(all[2] ?? '', '4.json'), ['secure-boot']],
    ]);
    expect(diagnostics).toEqual([]);
  });

  it('knows the other ways to map an image', () => {
    const { executable } = FLASH;
    const [dir = ''] = dirs({
      '1.json': descriptor({ mapping: { ...FLASH, mode: 'split' } }),
      '2.json': descriptor({ mapping: { device: 'flash', mode: 'combined', executable } }),
      '3.json': descriptor({ mapping: { device: 'flash', mode: 'stateless', executable } }),
      '4.json': descriptor({ mapping: { device: 'memory', filename: '/fw/bios.bin' } }),
      '5.json': descriptor({ mapping: { device: 'kernel', filename: '/fw/u-boot' } }),
    });
    const { descriptors, diagnostics } = readFirmware([dir]);
    expect(descriptors.map(({ mode, executable: image, nvramTemplate }) => [mode, image, nvramTemplate])).toEqual([
      ['split', '/fw/CODE.fd', '/fw/VARS.fd'],
      ['combined', '/fw/CODE.fd', undefined],
      ['stateless', '/fw/CODE.fd', undefined],
      ['memory', '/fw/bios.bin', undefined],
    ]);
    expect(diagnostics).toEqual([]);
  });

  it('tells the sizes, and finds what lies beside images of 4 MiB for stores of older days', () => {
    const [dir = ''] = dirs({});
    for (const [name, bytes] of [
      ['CODE_4M.fd', 3000],
      ['VARS_4M.fd', 1096],
      ['CODE.fd', 1500],
      ['VARS.fd', 548],
    ] as const)
      writeFileSync(join(dir, name), Buffer.alloc(bytes));
    const mapping = {
      device: 'flash',
      executable: { filename: join(dir, 'CODE_4M.fd'), format: 'raw' },
      'nvram-template': { filename: join(dir, 'VARS_4M.fd'), format: 'raw' },
    };
    writeFileSync(join(dir, '1.json'), descriptor({ mapping }));
    const found = readFirmware([dir]).descriptors;
    expect(found.map((one) => [one.executable, one.executableSize, one.nvramTemplate, one.nvramSize])).toEqual([
      [join(dir, 'CODE_4M.fd'), 3000, join(dir, 'VARS_4M.fd'), 1096],
      [join(dir, 'CODE.fd'), 1500, join(dir, 'VARS.fd'), 548],
    ]);
  });

  it('leaves out what is no descriptor, with a warning each, and keeps the rest', () => {
    const [dir = ''] = dirs({
      '01.json': '{',
      '02.json': '[]',
      '03.json': descriptor({ 'interface-types': 'uefi' }),
      '04.json': descriptor({ features: [1] }),
      '05.json': descriptor({ targets: [{ architecture: 'x86_64' }] }),
      '06.json': descriptor({ mapping: null }),
      '07.json': descriptor({ mapping: { device: 'flash' } }),
      '08.json': descriptor({ mapping: { ...FLASH, 'nvram-template': { filename: '/x' } } }),
      '09.json': descriptor({ mapping: { ...FLASH, mode: 'odd' } }),
      '10.json': descriptor({ mapping: { device: 'memory' } }),
      '11.json': descriptor(),
      README: 'not for us',
      '.hidden.json': '{',
    });
    mkdirSync(join(dir, '12.json'));
    execFileSync('mkfifo', [join(dir, '13.json')]);
    symlinkSync('/nowhere', join(dir, '14.json'));
    const { descriptors, diagnostics } = readFirmware([dir]);
    expect(descriptors.map(({ file }) => file)).toEqual([join(dir, '11.json')]);
    expect(diagnostics.map(({ severity, code }) => `${severity} ${code}`)).toEqual(
      Array(12).fill('warning firmware-descriptor-invalid'),
    );
    expect(diagnostics.map(({ message }) => message.slice(dir.length + 1)).slice(1)).toEqual(
      [
        ['02', 'it is not a JSON object'],
        ['03', 'interface-types is not a list of words'],
        ['04', 'features is not a list of words'],
        ['05', 'targets is not a list of architectures and machines'],
        ['06', 'mapping is missing'],
        ['07', 'mapping.executable is not a file name and a format'],
        ['08', 'mapping.nvram-template is not a file name and a format'],
        ['09', 'mapping.mode "odd" is unknown'],
        ['10', 'mapping.filename is missing'],
        ['12', 'it is not a regular file'],
        ['13', 'it is not a regular file'],
      ].map(([name, reason]) => `${name}.json is no firmware descriptor and was left out: ${reason}`),
    );
  });

  it('does without directories', () => {
    const root = scratch();
    writeFileSync(join(root, 'file'), '');
    expect(readFirmware([join(root, 'none'), join(root, 'file')])).toEqual({ descriptors: [], diagnostics: [] });
  });
});

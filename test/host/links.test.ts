import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { interfacesHere, probeLinks } from '../../src/host/links.ts';
import { program, scratch } from './scratch.ts';

/** A folder like /sys/class/net with one interface in it. */
function sysfs(name: string, files: Readonly<Record<string, string>>, folders: readonly string[] = []): string {
  const dir = scratch();
  mkdirSync(join(dir, name));
  for (const [file, text] of Object.entries({ ifindex: '7', address: '52:54:00:12:34:56', ...files }))
    writeFileSync(join(dir, name, file), `${text}\n`);
  for (const folder of folders) mkdirSync(join(dir, name, folder));
  return dir;
}

async function probe(dir: string, name: string, ip?: string): Promise<unknown> {
  return (await probeLinks([name], ip, dir))[name];
}

describe('an interface', () => {
  it('of this machine is found', async () => {
    expect(interfacesHere()).toContain('lo');
    expect(await probeLinks(['lo', 'none0', '..', 'lo/..'], undefined)).toEqual({
      lo: { kind: 'other', index: 1, mac: '00:00:00:00:00:00' },
      none0: { kind: 'missing' },
      '..': { kind: 'missing' },
      'lo/..': { kind: 'missing' },
    });
  });

  it('is known as a bridge or a macvtap by what is in its folder', async () => {
    expect(await probe(sysfs('br0', {}, ['bridge']), 'br0')).toMatchObject({ kind: 'bridge', index: 7 });
    expect(await probe(sysfs('mvt0', {}, ['macvtap']), 'mvt0')).toMatchObject({ kind: 'macvtap' });
  });

  it.each([
    ['0x1802', false],
    ['0x1902', true],
  ])('with the flags %s is a tap for several queues: %s', async (tun_flags, queues) => {
    const dir = sysfs('tap0', { tun_flags, owner: '-1', group: '-1' });
    expect(await probe(dir, 'tap0')).toMatchObject({ kind: 'tap', queues, usable: true });
  });

  it
    .skipIf(process.geteuid?.() === 0)
    .each([[{ owner: String((process.geteuid?.() ?? 0) + 1), group: '-1' }], [{ owner: '-1', group: '99999' }]])(
    'of somebody else may not be used: %o',
    async (files) => {
      expect(await probe(sysfs('tap0', { tun_flags: '0x1002', ...files }), 'tap0')).toMatchObject({ usable: false });
    },
  );

  it('has virtual functions in the order of their numbers, with the addresses that ip tells', async () => {
    const dir = sysfs('eno1', {}, ['device']);
    for (const number of Array.from({ length: 11 }, (_, index) => index))
      symlinkSync(`../../0000:03:10.${number}`, join(dir, 'eno1', 'device', `virtfn${number}`));
    const answer = [
      {
        vfinfo_list: [
          { vf: 1, mac: 'AA:00:00:00:00:01' },
          { vf: 10, address: 'aa:00:00:00:00:10' },
        ],
      },
    ];
    const ip = program(
      dir,
      'ip',
      `#!/bin/sh\n[ "$*" = '-json link show dev eno1' ] && echo '${JSON.stringify(answer)}'\n`,
    );
    expect(await probe(dir, 'eno1', ip)).toMatchObject({
      kind: 'other',
      functions: expect.objectContaining({
        0: { pci: '0000:03:10.0' },
        1: { pci: '0000:03:10.1', mac: 'aa:00:00:00:00:01' },
        10: { pci: '0000:03:10.10', mac: 'aa:00:00:00:00:10' },
      }),
    });
    const broken = program(dir, 'broken', '#!/bin/sh\necho nonsense\nexit 1\n');
    expect(await probe(dir, 'eno1', broken)).toMatchObject({
      functions: expect.objectContaining({ 1: { pci: '0000:03:10.1' } }),
    });
  });
});

import { describe, expect, it } from 'vitest';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');

function plan(text: string) {
  return planOf(`template: linux\nname: vm\n${text}`, CATALOG, LAPTOP);
}

describe('a VNC server', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['"::1"', '::1'],
  ])('on %s needs its port to be free', (addr, host) => {
    const { requirements } = plan(`display: vnc\nvnc: { type: tcp, number: 7, addr: ${addr} }\n`);
    expect(requirements).toContainEqual(expect.objectContaining({ kind: 'port', host, port: 5907, protocol: 'tcp' }));
  });

  it('on a socket needs none, and plays no sound on the host', () => {
    const { requirements, qemu } = plan('display: vnc\n');
    expect(requirements.filter(({ kind }) => kind === 'port')).toEqual([]);
    expect(qemu.options).toContainEqual(expect.objectContaining({ args: { driver: 'none', id: 'audio' } }));
  });
});

describe('disks on the ports of the board', () => {
  const unitsOf = (text: string): unknown[] =>
    plan(text).qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['driver'] === 'ide-hd' ? [[args['bus'], args['unit']]] : [],
    );

  it('share the channels of the old board by twos, each where it was when another is gone', () => {
    const disks = 'disk1: { file: /b, bus: ide }, disk3: { file: /d, bus: ide }';
    expect(unitsOf(`machine: pc\ndisks: { disk0: { file: /a, bus: ide }, ${disks} }\n`)).toEqual([
      ['ide.0', 0],
      ['ide.0', 1],
      ['ide.1', 1],
    ]);
    expect(unitsOf(`machine: pc\ndisks: { ${disks} }\n`)).toEqual([
      ['ide.0', 1],
      ['ide.1', 1],
    ]);
  });

  it('have a port each on q35', () => {
    expect(unitsOf('disks: [{ file: /a, bus: sata }, { file: /b, bus: sata }]\n')).toEqual([
      ['ide.0', undefined],
      ['ide.1', undefined],
    ]);
  });

  it.each([
    ['pc', 'sata', 'the board pc has no SATA; the guest sees it on IDE'],
    ['q35', 'ide', 'the board q35 has no IDE; the guest sees it on SATA'],
  ])('are told on %s to be no %s', (machine, bus, message) => {
    const { notes } = plan(`machine: ${machine}\ndisks: [{ file: /a, bus: ${bus} }]\n`);
    expect(notes.map((note) => note.message)).toContain(`disk0: ${message}`);
    const other = plan(`machine: ${machine === 'pc' ? 'q35' : 'pc'}\ndisks: [{ file: /a, bus: ${bus} }]\n`);
    expect(other.notes.filter(({ code }) => code === 'bus-differs')).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';

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

describe('floppies', () => {
  it.each(['q35', 'pc', 'proxmox', 'proxmox-pc'])('stand anywhere in the list of disks of the board %s', (board) => {
    const { qemu } = plan(`machine: ${board}\ndisks: [a, { type: cdrom }, { type: floppy }, { type: floppy }]\n`);
    const units = qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['driver'] === 'floppy' ? [args['unit']] : [],
    );
    expect(units).toEqual([0, 1]);
  });

  it('share no drive', () => {
    expect(() => plan('disks: [{ type: floppy }, a, { type: floppy }]\n')).toThrow('the place that disk0 has');
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

  it('get a SATA controller on the old board, and are told where a board has no IDE', () => {
    const { notes, qemu } = plan('machine: pc\ndisks: [{ file: /a, bus: sata }, { file: /b, bus: ide }]\n');
    expect(notes.filter(({ code }) => code === 'combination-risky')).toEqual([]);
    const buses = qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['driver'] === 'ide-hd' ? [args['bus']] : [],
    );
    expect(buses).toEqual(['ahci.0', 'ide.0']);
    expect(plan('disks: [{ file: /a, bus: ide }]\n').notes.map(({ message }) => message)).toContain(
      'disk0: this board has no IDE; the guest sees it on SATA',
    );
  });

  it.each([
    ['iothread: on, bus: sata', 'a disk on sata cannot have a thread'],
    ['queues: 2, bus: scsi', 'a disk on scsi has no queues of its own'],
    ['wwn: 5000c50015ea71aa', 'a disk on virtio has no World Wide Name'],
    ['rotation-rate: 7200, bus: nvme', 'a disk on nvme does not tell how fast it turns'],
    ['bps-total: 1M, bps-read: 1M', 'QEMU takes bps-total or bps-read, not both'],
    ['iops-write-max: 5', 'iops-write-max is for bursts beyond iops-write, which is not given'],
    ['iops-size: 4096', 'iops-size is of no use without a limit'],
  ])('are refused with %s', (settings, message) => {
    expect(() => plan(`disks: [{ file: /a, ${settings} }]\n`)).toThrow(`disk0: ${message}`);
  });

  it.each([
    ['serial: A', 'two disks have the serial number A'],
    ['wwn: 5000c50015ea71aa', 'two disks have the World Wide Name 0x5000c50015ea71aa'],
  ])('are refused where two have the same %s', (settings, message) => {
    const disks = (second: string) =>
      plan(`disks: [{ file: /a, bus: scsi, ${settings} }, { file: /b, bus: sata, ${second} }]\n`);
    expect(() => disks(settings)).toThrow(message);
    expect(() => disks('serial: B')).not.toThrow();
  });

  it.each(['virtio', 'nvme'])('are not for discs on %s, and it is told what is', (bus) => {
    const { diagnostics } = specOf(`disks: [{ type: cdrom, bus: ${bus}, file: /a.iso }]\n`, CATALOG);
    expect(diagnostics.map(({ help }) => help)).toEqual([expect.stringContaining('with `read-only: on`')]);
    expect(() => plan(`disks: [{ bus: ${bus}, file: /a.iso, read-only: on }]\n`)).not.toThrow();
  });

  it('share a thread by its name', () => {
    const { options } = plan(
      'disks: [{ file: /a, iothread: x }, { file: /b, iothread: x, bus: scsi-single }, { file: /c, iothread: on }, { file: /d, iothread: off }]\n',
    ).qemu;
    const threads = options.flatMap(({ name, args }) =>
      name === 'object' && typeof args === 'object' && args['qom-type'] === 'iothread' ? [args['id']] : [],
    );
    expect(threads).toEqual(['iothread-x', 'disk2-iothread']);
    const users = options.flatMap(({ args }) =>
      typeof args === 'object' && args['iothread'] !== undefined ? [`${args['id']} ${args['iothread']}`] : [],
    );
    expect(users).toEqual(['disk0-device iothread-x', 'disk1-controller iothread-x', 'disk2-device disk2-iothread']);
  });
});

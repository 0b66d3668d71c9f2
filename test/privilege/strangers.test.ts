import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import type { Namespace } from './namespace.ts';
import { MISSING, makeBridge, type Person, Town } from './people.ts';

let town: Town;
let owner: Person;
let stranger: Person;
let device: string;
let network: Namespace;
beforeAll(async () => {
  if (MISSING !== undefined) return;
  town = new Town();
  owner = town.add('o', true);
  stranger = town.add('s', false);
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, true);
  network = await makeBridge(town.dir, owner);
  const { exit, err } = start(owner);
  expect(exit, err).toBe(0);
});
afterAll(async () => {
  if (MISSING !== undefined) return;
  town.as(owner, town.ezvm('stop', '--force', 'vm'));
  await network.remove();
  town.remove();
});

function start(person: Person): ReturnType<Town['as']> {
  const file = town.built.write(
    join(person.home, 'vm.yaml'),
    `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ntpm: swtpm\nspice: unix\nvnc: unix
disks: [{ file: ${device}, bus: sata }]\nnetwork: [{ type: tap, ifname: tap0 }]\n`,
  );
  return town.as(person, town.ezvm('start', file), network.inside);
}

/** What a stranger is told who tries a command. */
function tried(...argv: string[]): string {
  const { exit, err } = town.as(stranger, argv, network.inside);
  expect(exit).not.toBe(0);
  return err;
}

function pid(): number {
  return (JSON.parse(town.as(owner, town.ezvm('status', '--json', 'vm')).out) as { pid: number }).pid;
}

describe.skipIf(MISSING !== undefined)(`a stranger on the machine${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  it('opens no device of the VM, and starts no VM with it', () => {
    expect(tried('sh', '-c', 'exec <"$1"', 'sh', device)).toContain('Permission denied');
    const { exit, err } = start(stranger);
    expect(exit).toBe(3);
    expect(err).toContain(`${device} cannot be written: you may not do that`);
  });

  it('connects to no socket and reads no file of the VM, wherever it lies', () => {
    const run = join(owner.home, 'run', 'ezvm', 'vm');
    const sockets = readdirSync(run).filter((name) => name.endsWith('.sock'));
    expect(sockets).toEqual(expect.arrayContaining(['monitor.sock', 'qmp.sock', 'spice.sock', 'tpm.sock', 'vnc.sock']));
    for (const name of sockets) {
      const connect = `require('node:net').connect(${JSON.stringify(join(run, name))}).on('error', (e) => { console.error(e.code); process.exit(1); }).on('connect', () => process.exit(0))`;
      expect(tried(process.execPath, '-e', connect)).toContain('EACCES');
    }
    for (const path of [run, join(owner.home, '.local/state/ezvm/vm'), join(owner.home, '.cache/ezvm')]) {
      expect(existsSync(path)).toBe(true);
      expect(tried('ls', path)).toContain('Permission denied');
    }
  });

  it('has only himself for owner and nobody else’s rights in every file that was made', () => {
    for (const top of ['run/ezvm', '.local/state/ezvm', '.cache/ezvm']) {
      // The keys of the TPM's authority are swtpm's files, of modes it chooses itself; the closed folder keeps others out.
      const authority = ['-name', '.tpm-authority', '!', '-perm', '/077', '-prune', '-o'];
      const { out } = town.as(owner, ['find', join(owner.home, top), ...authority, '-perm', '/077', '-print']);
      expect(out).toBe('');
    }
  });

  it('neither looks into QEMU nor ends it nor takes its interface', () => {
    const qemu = String(pid());
    expect(tried('ls', `/proc/${qemu}/fd`)).toContain('Permission denied');
    expect(tried('kill', qemu)).toMatch(/not permitted/i);
    const tap = ['-machine', 'none', '-nodefaults', '-display', 'none'];
    expect(tried('qemu-system-x86_64', ...tap, '-netdev', 'tap,id=n,ifname=tap0,script=no,downscript=no')).toMatch(
      /could not configure|not permitted|busy/i,
    );
  });
});

import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import type { Ran } from '../cli/built.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { type Person, statusOf, Town } from './people.ts';
import { NO_SYSTEM, System } from './system.ts';

const WHERE = ['/etc', '/usr/libexec', '/var/lib/ezvm'];
/** What groupadd and its like keep of the files that they change. */
const BACKUPS = /^\/etc\/((group|gshadow|passwd|shadow|subuid|subgid)-|\.pwd\.lock)$/;
const HELPER = '/usr/libexec/ezvm-priv';
const POLICY = '/etc/ezvm/policy';

let town: Town;
let alice: Person;
let device: string;
let group: string;
beforeAll(() => {
  if (NO_SYSTEM !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  symlinkSync(join(CHECKOUT, 'src'), join(town.built.dist, '..', 'src'));
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, false);
  group = `${town.group}h`;
  town.built.write(
    join(alice.home, 'vm.yaml'),
    `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: ${device}, bus: sata }]\n`,
  );
});
afterAll(() => town?.remove());

describe.skipIf(NO_SYSTEM !== undefined)(`setup helper${NO_SYSTEM ? ` (left out: ${NO_SYSTEM})` : ''}`, () => {
  let system: System;
  beforeEach(async () => {
    const dir = join(town.dir, 'system');
    mkdirSync(dir, { recursive: true });
    system = await System.overlay(dir);
  });
  afterEach(async () => {
    town.as(alice, town.ezvm('stop', '--force', 'vm'), system.inside);
    await system.remove();
  });

  function root(...words: string[]): Ran {
    const [program = '', ...args] = [...system.inside, ...town.ezvm(...words)];
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: '/root', SUDO_UID: String(alice.uid) },
    });
    return { exit: status, out: stdout, err: stderr, took: performance.now() - start };
  }

  function setup(...words: string[]): Ran {
    return root('setup', 'helper', '--group', group, join(alice.home, 'vm.yaml'), ...words);
  }

  function snapshot(): Record<string, string> {
    return Object.fromEntries([...system.snapshot(...WHERE)].filter(([path]) => !BACKUPS.test(path)));
  }

  it('installs what runs a VM on a disk of root’s alone, and takes it back to the byte', async () => {
    const before = snapshot();
    const printed = setup();
    expect(printed.exit, printed.err).toBe(0);
    expect(printed.out).toMatch(new RegExp(`^run .*(sysusers --inline 'g ${group} - -'|groupadd --system ${group})\n`));
    expect(printed.out).toMatch(new RegExp(`\\+allow +user:${alice.name} +block +${device} +rw\n`));
    expect(printed.out).toContain(`+++ ${HELPER}\nmode 4750 root:${group}\n+a program of `);
    expect(snapshot()).toEqual(before);

    const { exit, err } = setup('--apply');
    expect([exit, err]).toEqual([0, expect.stringContaining('installed')]);
    expect(err).not.toContain('warning');
    expect(system.run('stat', '--format=%a %U:%G', HELPER)).toBe(`4750 root:${group}\n`);
    expect(system.run('stat', '--format=%a %U:%G', POLICY)).toBe('644 root:root\n');
    expect(system.run('getent', 'group', group)).toMatch(new RegExp(`:${alice.name}\n$`));

    const started = town.as(alice, town.ezvm('start', join(alice.home, 'vm.yaml')), system.inside);
    expect(started.exit, started.err).toBe(0);
    const log = join(alice.home, '.local/state/ezvm/vm/serial0.log');
    await until('the guest', () => existsSync(log) && readFileSync(log, 'latin1').includes('EZVM-UP'));
    const { pid } = JSON.parse(town.as(alice, town.ezvm('status', '--json', 'vm'), system.inside).out) as {
      pid: number;
    };
    expect(statusOf(pid)).toMatchObject({ CapBnd: '0000000000000000', NoNewPrivs: '1' });
    town.as(alice, town.ezvm('stop', '--force', 'vm'), system.inside);

    expect(setup('--apply').out).toBe('everything is installed already\n');
    const undone = root('setup', 'undo');
    expect([undone.exit, undone.err]).toEqual([0, 'everything is as it was\n']);
    expect(snapshot()).toEqual(before);
    expect(town.as(alice, town.ezvm('start', join(alice.home, 'vm.yaml')), system.inside).exit).toBe(3);
  });

  it('puts back a helper, a policy and a group that were there', () => {
    system.run('groupadd', group);
    system.run(
      'sh',
      '-c',
      `mkdir /etc/ezvm && echo '# mine' >${POLICY} && chmod 600 ${POLICY} && mkdir -p /usr/libexec`,
    );
    system.run('sh', '-c', `printf 'old\\377' >${HELPER} && chown root:${group} ${HELPER} && chmod 4710 ${HELPER}`);
    const before = snapshot();
    const { exit, err } = setup('--apply');
    expect(exit, err).toBe(0);
    // Only the administrator changes what the administrator has written.
    expect(err).toMatch(new RegExp(`${POLICY} is the administrator's own and stays .*block ${device} rw`));
    expect(system.run('cat', POLICY)).toBe('# mine\n');
    expect(system.run(HELPER, '--version')).toBe('ezvm-priv 1\n');
    expect(root('setup', 'undo').exit).toBe(0);
    expect(snapshot()).toEqual(before);
  });

  it('installs again over a policy that was edited, which stays, also when all is undone', () => {
    expect(setup('--apply').exit).toBe(0);
    system.run('sh', '-c', `echo '# edited' >>${POLICY}`);
    expect(setup('--apply').exit).toBe(0);
    expect(system.run('tail', '-n1', POLICY)).toBe('# edited\n');
    const { exit, err } = root('setup', 'undo');
    expect([exit, err]).toEqual([0, expect.stringContaining(`${POLICY} was changed since`)]);
    expect(system.run('tail', '-n1', POLICY)).toBe('# edited\n');
    expect(() => system.run('test', '-e', HELPER)).toThrow();
  });

  it('keeps what setup group has installed, and is kept by it', () => {
    const setGroup = ['setup', 'group', '--apply', '--group', group, '--network', 'networkd'];
    expect(root(...setGroup, join(alice.home, 'vm.yaml')).exit).toBe(0);
    expect(setup('--apply').exit).toBe(0);
    expect(system.run('cat', '/etc/udev/rules.d/70-ezvm.rules')).toContain(`GROUP="${group}"`);
    expect(root(...setGroup, join(alice.home, 'vm.yaml')).exit).toBe(0);
    expect(system.run('stat', '--format=%a', HELPER)).toBe('4750\n');
  });

  it('says what is missing where there is no compiler, and installs nothing', () => {
    const before = snapshot();
    system.run('sh', '-c', 'rm -f /usr/bin/cc /usr/bin/gcc /usr/bin/clang');
    const { exit, err } = setup('--apply');
    expect([exit, err]).toEqual([3, expect.stringContaining('has no C compiler')]);
    expect(err).toContain('libc6-dev');
    expect(snapshot()).toEqual(before);
  });

  it('tells of a compiler that has no headers what it said', () => {
    system.run('sh', '-c', 'rm -rf /usr/include/stdio.h /usr/include/string.h /usr/include/errno.h');
    const { exit, err } = setup();
    expect(exit).toBe(3);
    expect(err).toMatch(/cannot build the helper: .*\.h: No such file/);
  });

  it('tells that it cannot work on a file system without setuid programs', () => {
    system.run(
      'sh',
      '-c',
      'mkdir -p /usr/libexec && mount --bind /usr/libexec /usr/libexec && mount -o remount,bind,nosuid /usr/libexec',
    );
    const { exit, err } = setup('--apply');
    expect([exit, err]).toEqual([0, expect.stringContaining('mounted without nosuid')]);
  });

  it('is installed by root alone, also into another system, whose groups count', () => {
    const other = join(alice.home, 'other');
    mkdirSync(join(other, 'etc'), { recursive: true });
    chownSync(other, alice.uid, alice.gid);
    const words = ['setup', 'helper', '--group', group, '--apply', join(alice.home, 'vm.yaml')];
    expect(town.as(alice, town.ezvm(...words), system.inside)).toMatchObject({
      exit: 3,
      err: expect.stringContaining('only root'),
    });
    expect(setup('--apply', '--root', other)).toMatchObject({
      exit: 3,
      err: expect.stringContaining(`groupadd --system --root ${other} ${group}`),
    });
    writeFileSync(join(other, 'etc', 'group'), `${group}:x:54321:\n`);
    expect(setup('--apply', '--root', other).exit).toBe(0);
    expect(statSync(join(other, HELPER))).toMatchObject({ uid: 0, gid: 54321, mode: 0o104750 });
    expect(root('setup', 'undo', '--root', other).exit).toBe(0);
    expect(existsSync(join(other, 'usr'))).toBe(false);
    rmSync(other, { recursive: true });
  });
});

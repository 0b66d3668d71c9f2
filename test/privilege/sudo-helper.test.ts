import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import type { Ran } from '../cli/built.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { type Person, statusOf, Town } from './people.ts';
import { NO_SYSTEM, System } from './system.ts';

const POLICY = '/etc/ezvm/policy';

let town: Town;
let alice: Person;
let stranger: Person;
let device: string;
let system: System;
beforeAll(async () => {
  if (NO_SYSTEM !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  stranger = town.add('s', false);
  symlinkSync(join(CHECKOUT, 'src'), join(town.built.dist, '..', 'src'));
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, false);
  const dir = join(town.dir, 'system');
  mkdirSync(dir);
  system = await System.overlay(dir, 'with a bridge');
  const { exit, err } = root(alice, 'setup', 'helper', '--apply', '--group', `${town.group}h`, ownFile(alice));
  expect(exit, err).toBe(0);
});
afterEach(() => {
  for (const person of [alice, stranger]) if (person) root(person, 'stop', '--force', 'vm');
});
afterAll(async () => {
  await system?.remove();
  town?.remove();
});

/** Runs ezvm as root does for whom called sudo. */
function root(person: Person, ...words: string[]): Ran {
  const start = performance.now();
  const [program = '', ...args] = [...system.inside, ...town.ezvm(...words)];
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: '/root', SUDO_UID: String(person.uid) },
  });
  return { exit: status, out: stdout, err: stderr, took: performance.now() - start };
}

function text(): string {
  return `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: ${device}, bus: sata }]
network: [{ type: bridge, bridge: br0 }]\n`;
}

function ownFile(person: Person): string {
  return town.built.write(join(person.home, 'vm.yaml'), text());
}

function qemuPid(): number {
  return (JSON.parse(root(alice, 'status', '--json', 'vm').out) as { pid: number }).pid;
}

function taps(): number {
  return system.run('ip', '-oneline', 'link', 'show', 'master', 'br0').split('\n').filter(Boolean).length;
}

async function expectRunning(): Promise<void> {
  const log = join(alice.home, '.local/state/ezvm/vm/serial0.log');
  await until('the guest', () => existsSync(log) && readFileSync(log, 'latin1').includes('EZVM-UP'));
  const none = '0000000000000000';
  expect(statusOf(qemuPid())).toMatchObject({
    Uid: Array(4).fill(alice.uid).join('\t'),
    ...{ CapInh: none, CapPrm: none, CapEff: none, CapBnd: none, CapAmb: none, NoNewPrivs: '1', Seccomp: '2' },
  });
  const open = readdirSync(`/proc/${qemuPid()}/fd`).map((fd) => readlinkSync(`/proc/${qemuPid()}/fd/${fd}`));
  expect(open).toContain(device);
  expect(taps()).toBe(1);
}

describe.skipIf(NO_SYSTEM !== undefined)(
  `sudo ezvm where the helper is installed${NO_SYSTEM ? ` (left out: ${NO_SYSTEM})` : ''}`,
  () => {
    it('has what the policy allows the user, for a file of his own, and gives it back', async () => {
      const { exit, err } = root(alice, 'start', ownFile(alice));
      expect(exit, err).toBe(0);
      await expectRunning();
      expect(root(alice, 'stop', '--force', 'vm').exit).toBe(0);
      expect(taps()).toBe(0);
    });

    it('has for a file of root’s what root opens, whether or not the policy allows it', async () => {
      system.run('sed', '-i', 's/^allow.*block/# &/', POLICY);
      try {
        const refused = root(alice, 'start', ownFile(alice));
        expect([refused.exit, refused.err]).toEqual([3, expect.stringContaining(`block ${device} rw`)]);
        const { exit, err } = root(alice, 'start', town.rootsFile('vm.yaml', text()));
        expect(exit, err).toBe(0);
        await expectRunning();
      } finally {
        system.run('sed', '-i', 's/^# allow/allow/', POLICY);
      }
    });

    it('has nothing for whom the policy does not know, nor for who may not call the helper', () => {
      const { exit, err } = root(stranger, 'start', ownFile(stranger));
      expect(exit).toBe(3);
      expect(err).toContain(`for members of the group ${town.group}h only`);
      system.run('usermod', '--append', '--groups', `${town.group}h`, stranger.name);
      expect(root(stranger, 'start', ownFile(stranger)).err).toContain('the helper refuses');
    });
  },
);

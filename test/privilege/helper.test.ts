import { chmodSync, chownSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ran } from '../cli/built.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { Helper } from './helper-lab.ts';
import type { Namespace } from './namespace.ts';
import { MISSING, makeBridge, type Person, Town } from './people.ts';

let town: Town;
let member: Person;
let stranger: Person;
let device: string;
let network: Namespace;
let helper: Helper;
beforeAll(async () => {
  if (MISSING !== undefined) return;
  town = new Town();
  member = town.add('m', true);
  stranger = town.add('s', false);
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, false);
  network = await makeBridge(town.dir, member);
});
afterAll(async () => {
  await network?.remove();
  town?.remove();
});
beforeEach(() => {
  if (MISSING !== undefined) return;
  helper = new Helper(town);
  for (const person of [member, stranger]) helper.makeKnown(person);
});
afterEach(() => {
  if (MISSING !== undefined) return;
  for (const { home } of [member, stranger]) rmSync(join(home, '.config'), { recursive: true });
  helper.remove();
});

/** Tries to start a VM whose disk, at line 5, is root's alone, and which may be on a bridge. */
function start(person: Person, more = ''): Ran {
  const text = `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: ${device}, bus: sata }]\n${more}`;
  const file = town.built.write(join(person.home, 'vm.yaml'), text);
  return town.as(person, town.ezvm('start', file), network.inside);
}

/** What is told at the disk's line of a VM that is not started. */
function refusal(person = member): string {
  const { exit, err } = start(person);
  expect(exit, err).toBe(3);
  expect(err).toContain('vm.yaml:5:');
  return err;
}

function allowAll(): void {
  helper.allow(member, 'program /usr/bin/qemu-system-x86_64', `block ${device} rw`, 'bridge br0');
}

/** Puts another program in the helper's place. */
function pretend(words: string): void {
  rmSync(helper.program);
  writeFileSync(helper.program, `#!/bin/sh\n${words}\n`);
}

describe.skipIf(MISSING !== undefined)(`a helper that helps${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  it('lets a guest speak on the bridge', async () => {
    allowAll();
    // A card that is booted from asks for an address.
    const { exit, err } = start(member, 'network: [{ type: bridge, bridge: br0, boot: 0 }]\n');
    expect(exit, err).toBe(0);
    const arrived = (): number => Number(network.run('cat', '/sys/class/net/br0/statistics/rx_packets'));
    await until('what the guest sends', () => arrived() > 0);
    expect(town.as(member, town.ezvm('stop', '--force', 'vm')).exit).toBe(0);
  });
});

describe.skipIf(MISSING !== undefined)(`a helper that does not help${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  it('is for members of its group only', () => {
    allowAll();
    const told = refusal(stranger);
    expect(told).toContain(`${helper.program} is for members of the group ${town.group} only`);
    expect(told).toContain(`sudo usermod -aG ${town.group} $USER`);
    expect(town.as(stranger, ['sh', '-c', '"$0" check', helper.program]).err).toMatch(/denied/);
  });

  it.each([
    [
      'is not setuid',
      () => chmodSync(helper.program, 0o750),
      /is not setuid: install it anew: sudo ezvm setup helper --apply/,
    ],
    [
      'belongs to somebody else',
      () => chownSync(helper.program, member.uid, member.gid),
      /belongs to user \d+ and not/,
    ],
    ['can be changed by others', () => chmodSync(helper.program, 0o4777), /can be changed by others than root/],
    [
      'is of another version',
      () => {
        pretend('echo ezvm-priv 0');
        chmodSync(helper.program, 0o4755);
      },
      /is not of this ezvm's version: it says "ezvm-priv 0", not "ezvm-priv 1": install it anew/,
    ],
  ])('%s', (_, spoil, told) => {
    allowAll();
    spoil();
    expect(refusal()).toMatch(told);
  });

  it('is not there', () => {
    rmSync(helper.program);
    const { err } = start(member);
    expect(err).toContain(`"${helper.program}", which is no program that can be run`);
  });

  it.each([
    [
      'does not allow the disk',
      'allow any program /usr/bin/qemu-system-x86_64',
      /with the line `allow user:\S+ block \/dev\/loop\d+ rw`/,
    ],
    ['cannot be understood', 'allow nonsense', /line 1/],
  ])('has a policy that %s', (_, line, told) => {
    helper.policy(line);
    expect(refusal()).toMatch(told);
  });

  it('has a policy that somebody else may write', () => {
    allowAll();
    helper.spoilPolicy(0o666);
    const told = refusal();
    expect(told).not.toContain("the system's log");
    expect(told).toMatch(/others than root may write .*policy; run: chmod go-w/);
  });

  it('does not allow the bridge, of which it is told at the line of the bridge', () => {
    helper.allow(member, 'program /usr/bin/qemu-system-x86_64', `block ${device} rw`);
    const { exit, err } = start(member, 'network: [{ type: bridge, bridge: br0 }]\n');
    expect(exit, err).toBe(3);
    expect(err).toMatch(/vm\.yaml:6:.*bridge br0: the policy does not allow it/);
    expect(err).toMatch(/with the line `allow user:\S+ bridge br0`/);
  });
});

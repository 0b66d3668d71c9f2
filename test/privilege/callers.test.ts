import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../cli/built.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { type Person, Town } from './people.ts';
import { NO_SYSTEM, System } from './system.ts';

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const WITHOUT = NO_SYSTEM ?? ['sudo', 'doas'].find((program) => !has(program));

let town: Town;
let alice: Person;
let mallory: Person;
let device: string;
let system: System;
beforeAll(async () => {
  if (WITHOUT !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  mallory = town.add('m', false);
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, false);
  const dir = join(town.dir, 'system');
  mkdirSync(dir);
  system = await System.overlay(dir);
  const rules = {
    'sudoers.d/ezvm': `${alice.name} ALL=(root) NOPASSWD:SETENV: ALL`,
    'doas.conf': `permit nopass keepenv ${alice.name} as root`,
  };
  for (const [name, text] of Object.entries(rules))
    system.run('sh', '-c', `mkdir -p /etc/sudoers.d && echo '${text}' >/etc/${name} && chmod 440 /etc/${name}`);
});
afterEach(() => void town?.sudo(alice, 'stop', '--force', 'vm'));
afterAll(async () => {
  await system?.remove();
  town?.remove();
});

function vmFile(): string {
  const text = `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: "${device}", bus: sata }]\n`;
  return town.rootsFile('vm.yaml', text);
}

/** Has alice type a command line, with variables of hers. */
function types(argv: readonly string[], variables: Readonly<Record<string, string>> = {}): Ran {
  const words = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return town.as(alice, ['env', ...words, ...argv], system.inside);
}

function start(env: Record<string, string>): Ran {
  return town.built.run(['start', vmFile()], { env });
}

function qemuUid(): string | undefined {
  const { pid } = JSON.parse(town.sudo(alice, 'status', '--json', 'vm').out) as { pid?: number };
  if (pid === undefined) return undefined;
  return /^Uid:\t(\d+\t\d+\t\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.replaceAll('\t', ' ');
}

describe.skipIf(WITHOUT !== undefined)(`whoever calls root${WITHOUT ? ` (left out: ${WITHOUT})` : ''}`, () => {
  const asAlice = (): string => Array(3).fill(alice.uid).join(' ');

  it.each(['sudo', 'doas'])('by %s, has the VM', (program) => {
    const { exit, err } = types([program, '-n', ...town.ezvm('start', vmFile())]);
    expect(exit, err).toBe(0);
    expect(qemuUid()).toBe(asAlice());
    expect(types([program, '-n', ...town.ezvm('stop', '--force', 'vm')]).exit).toBe(0);
    expect(qemuUid()).toBeUndefined();
  });

  it('by pkexec, has the VM', () => {
    const { exit, err } = start({ PKEXEC_UID: String(alice.uid) });
    expect(exit, err).toBe(0);
    expect(qemuUid()).toBe(asAlice());
  });

  it.each([
    ['sudo', 'DOAS_USER', () => mallory.name],
    ['sudo', 'PKEXEC_UID', () => String(mallory.uid)],
    ['doas', 'SUDO_UID', () => String(mallory.uid)],
    ['doas', 'PKEXEC_UID', () => String(mallory.uid)],
  ])('by %s, cannot name somebody else by %s', (program, variable, value) => {
    const words = program === 'sudo' ? ['sudo', '-n', '-E'] : ['doas', '-n'];
    const { exit, err } = types([...words, ...town.ezvm('start', vmFile())], { [variable]: value() });
    expect([exit, err]).toEqual([2, expect.stringContaining('nothing says clearly for whom')]);
  });

  it.each([
    ...[
      '0',
      '-1',
      '+1',
      '',
      ' ',
      'root',
      '4294967295',
      '99999999999999999999',
      '0x0',
      '1e3',
      '1000;id',
      '1000\n0',
    ].flatMap((value) => [{ SUDO_UID: value }, { PKEXEC_UID: value }]),
    ...['root', '0', '', '../x', '--help', '-s', 'no-such-user', 'a b', '*', 'root\n'].map((value) => ({
      DOAS_USER: value,
    })),
  ])('is nobody by %j', (env) => {
    const { exit, err } = start(env as Record<string, string>);
    expect([exit, err]).toEqual([2, expect.stringContaining('nothing says clearly for whom')]);
  });

  it('is told by a number, not by a name, where a number belongs', () => {
    expect(start({ SUDO_UID: alice.name }).exit).toBe(2);
  });

  it('is nobody for one who is not root, whatever his variables say', () => {
    const told = { SUDO_UID: String(mallory.uid), PKEXEC_UID: String(mallory.uid), DOAS_USER: mallory.name };
    const { exit, out } = types(town.ezvm('setup', 'group', vmFile()), told);
    expect(exit).toBe(0);
    expect(out).toContain(`--append --groups ezvm ${alice.name}\n`);
    const { err } = types(town.ezvm('start', vmFile()), told);
    expect(err).toMatch(/cannot be written: you may not do that/);
  });
});

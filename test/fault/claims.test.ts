import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram, programDirs } from '../../src/host/programs.ts';
import { AS_ROOT, Machine, type Outcome } from '../boot/machine.ts';

const dirs = programDirs(process.env['PATH'], process.geteuid?.() ?? 0);
const LACKING = ['swtpm', 'swtpm_setup'].find((program) => !findProgram(program, dirs));
const VMS = ['one', 'two'];
const BASE = 'template: none\nfirmware: bios\nmachine: pc\nmemory: 64M\nnetwork: none\n';

let machine: Machine;
beforeEach(() => {
  machine = new Machine('');
  mkdirSync(join(machine.dir, 'run'), { mode: 0o700 });
});
afterEach(async () => {
  for (const name of VMS) await machine.ezvm('stop', name, '--force');
  await machine.remove();
});

/** Starts a VM of that name. */
function start(name: string, yaml: string): Promise<Outcome> {
  machine.write(`${name}.yaml`, `name: ${name}\n${BASE}${yaml}\n`);
  return machine.ezvm(`${name}.yaml`, ...AS_ROOT);
}

function check(yaml: string): Promise<Outcome> {
  machine.write('two.yaml', `name: two\n${BASE}${yaml}\n`);
  return machine.ezvm('check', 'two.yaml');
}

/** Whether it was for this VM that a TPM was made. */
function hasMade(name: string): boolean {
  const log = join(machine.dir, 'state', 'ezvm', name, 'swtpm_setup.log');
  return existsSync(log) && readFileSync(log, 'utf8').includes('EK certificate');
}

/** A block device of a megabyte, or why there is none. */
function makeDevice(): { path: string } | undefined {
  const image = join(machine.dir, 'device.img');
  spawnSync('truncate', ['-s', '1M', image]);
  const { status, stdout } = spawnSync('losetup', ['-f', '--show', image], { encoding: 'utf8' });
  return status === 0 ? { path: stdout.trim() } : undefined;
}

describe.skipIf(LACKING !== undefined)(`the state of a TPM${LACKING ? ` (left out: no ${LACKING})` : ''}`, () => {
  const tpm = (state: string, more = ''): string => `tpm: { type: swtpm, model: tpm-tis, state: ${state}${more} }`;

  it.each(['file', 'directory'])('in a %s serves one VM at a time, and is made with certificates', async (kind) => {
    const state = join(machine.dir, 'shared');
    if (kind === 'directory') mkdirSync(state);
    const first = await start('one', tpm('shared'));
    expect(first.exit, first.err).toBe(0);
    if (kind === 'file') expect(first.err).toContain(`${state} does not exist; the first start makes a new TPM in it`);
    const second = await start('two', tpm('shared'));
    expect(second.exit).toBe(3);
    expect(second.err).toMatch(/two\.yaml:7:\d+ .*shared is in use by VM one \(swtpm, pid \d+\)/);
    expect((await check(tpm('shared'))).err).toContain('shared is in use by VM one');
    expect(await machine.ezvm('check', 'one.yaml')).toMatchObject({ exit: 0 });
    await machine.ezvm('stop', 'one', '--force');
    const held = readFileSync(kind === 'file' ? state : join(state, 'tpm2-00.permall'));
    expect(held.includes(Buffer.from('swtpm-localca'))).toBe(true);
    expect(existsSync(join(state, '.new-tpm'))).toBe(false);
    expect((await start('two', tpm('shared'))).exit).toBe(0);
  });

  it.each(['file', 'directory'])(
    'in a %s is made whole and once by two first starts at the same time',
    async (kind) => {
      for (const shared of ['first', 'second', 'third']) {
        const path = join(machine.dir, shared);
        if (kind === 'directory') mkdirSync(path);
        // Each round's authority is new as well.
        rmSync(join(machine.dir, 'state'), { recursive: true, force: true });
        const ended = await Promise.all(VMS.map((name) => start(name, tpm(shared))));
        const won = ended.findIndex(({ exit }) => exit === 0);
        const [winner = '', loser = ''] = won === 0 ? VMS : VMS.toReversed();
        expect(ended.map(({ exit }) => exit).toSorted(), ended.map(({ err }) => err).join('\n')).toEqual([0, 3]);
        expect(ended[1 - won]?.err).toMatch(
          new RegExp(`${loser}\\.yaml:7:\\d+ .*${shared} is in use by VM ${winner} \\(swtpm, pid \\d+\\)`),
        );
        expect(VMS.filter((name) => hasMade(name))).toHaveLength(1);
        await machine.ezvm('stop', winner, '--force');
        const state = readFileSync(kind === 'file' ? path : join(path, 'tpm2-00.permall'));
        expect(state.includes(Buffer.from('swtpm-localca'))).toBe(true);
        expect(readdirSync(machine.dir).filter((name) => name.startsWith(`${shared}.`))).toEqual([]);
        expect(existsSync(join(path, '.new-tpm'))).toBe(false);
        const later = await start(loser, tpm(shared));
        expect(later.exit, later.err).toBe(0);
        await machine.ezvm('stop', loser, '--force');
        expect(VMS.filter((name) => hasMade(name))).toHaveLength(1);
      }
    },
  );

  it('on a block device serves one VM at a time', async ({ skip }) => {
    const device = makeDevice();
    if (!device) return skip('no block device can be made here');
    try {
      const first = await start('one', tpm(device.path));
      expect(first.exit, first.err).toBe(0);
      const second = await start('two', tpm(device.path));
      expect(second.exit).toBe(3);
      expect(second.err).toContain(`${device.path} is in use by VM one (swtpm, pid `);
      await machine.ezvm('stop', 'one', '--force');
      expect(readFileSync(device.path).includes(Buffer.from('swtpm-localca'))).toBe(true);
    } finally {
      await machine.ezvm('stop', 'one', '--force');
      spawnSync('losetup', ['-d', device.path]);
    }
  });

  it('is not made where something else is', async () => {
    machine.write('letter.txt', 'Dear Sir or Madam');
    const outcome = await start('one', tpm('letter.txt'));
    expect(outcome.exit).toBe(3);
    expect(outcome.err).toMatch(/one\.yaml:7:\d+ .*letter.txt holds something else than the state of a TPM/);
    expect(readFileSync(join(machine.dir, 'letter.txt'), 'utf8')).toBe('Dear Sir or Madam');
  });

  it('says what a key that does not fit means, at its place', async () => {
    for (const key of ['right', 'wrong', 'empty'])
      writeFileSync(join(machine.dir, key), key === 'empty' ? '' : key, { mode: 0o600 });
    expect((await start('one', tpm('locked', ', key: right'))).exit).toBe(0);
    await machine.ezvm('stop', 'one', '--force');
    const tries = [
      [tpm('locked', ', key: wrong'), /one\.yaml:7:\d+ .*the passphrase in .*\/wrong is not that of this TPM/],
      [tpm('locked', ', key: empty'), /one\.yaml:7:\d+ .*\/empty is empty/],
      [tpm('locked'), /one\.yaml:7:\d+ .*the state of this TPM is encrypted, and no `key` is given/],
    ] as const;
    for (const [yaml, words] of tries) {
      const outcome = await start('one', yaml);
      expect(outcome.exit).toBe(3);
      expect(outcome.err).toMatch(words);
      expect(outcome.err).not.toMatch(/HMAC|0x101/);
    }
    expect((await start('two', tpm('plain'))).exit).toBe(0);
    await machine.ezvm('stop', 'two', '--force');
    const late = await start('two', tpm('plain', ', key: right'));
    expect(late.err).toMatch(/two\.yaml:7:\d+ .*the state of this TPM is not encrypted/);
  });

  it('warns of a key that others may read', async () => {
    writeFileSync(join(machine.dir, 'open'), 'x', { mode: 0o644 });
    expect((await check(tpm('new', ', key: open'))).err).toMatch(/warning.*others than you may read .*\/open/s);
  });
});

describe('the memory of Looking Glass', () => {
  const name = `ezvm-claims-${process.pid}`;
  const path = `/dev/shm/${name}`;
  const glass = (device = path): string =>
    `display: { type: looking-glass, device: ${device}, size: 16M, open: off }\nspice: { type: unix }`;
  afterEach(() => rmSync(path, { recursive: true, force: true }));

  it('serves one VM at a time; what a VM left that has ended is stale', async () => {
    const first = await start('one', glass());
    expect(first.exit, first.err).toBe(0);
    const { ino } = statSync(path);
    const second = await start('two', glass());
    expect(second.exit).toBe(3);
    expect(second.err).toMatch(/two\.yaml:7:\d+ .*is in use by VM one \(pid \d+\)/);
    expect(statSync(path).ino).toBe(ino);
    expect((await check(glass())).err).toContain('is in use by VM one');
    await machine.ezvm('stop', 'one', '--force');
    writeFileSync(path, 'left', { mode: 0o600 });
    const third = await start('two', glass());
    expect(third.exit, third.err).toBe(0);
    expect(statSync(path).size).toBe(16 * 1024 * 1024);
  });

  it.each([
    ['a directory', () => mkdirSync(path), path, 'not a plain file of your own'],
    ['a symbolic link', () => symlinkSync('/dev/null', path), path, 'not a plain file of your own'],
    [
      'a file with another name elsewhere',
      () => {
        writeFileSync(path, '');
        linkSync(path, `${path}-other`);
      },
      path,
      'not a plain file of your own',
    ],
    ['in no folder', () => {}, `${path}/none/vm`, 'does not exist'],
  ])('is told by check to be %s', async (_, make, device, words) => {
    make();
    const { exit, err } = await check(glass(device));
    rmSync(`${path}-other`, { force: true });
    expect(exit).not.toBe(0);
    expect(err).toMatch(/two\.yaml:7:\d+/);
    expect(err).toContain(words);
  });
});

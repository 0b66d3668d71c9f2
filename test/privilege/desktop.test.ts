import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { lacking } from '../gui/desk.ts';
import { colours, readXwd } from '../gui/picture.ts';
import { until } from '../launch/plan-builder.ts';
import { MISSING, type Person, statusOf, Town } from './people.ts';

const LACKING = MISSING ?? (XVFB === undefined ? 'no Xvfb' : undefined);
const NO_VIEWER = LACKING ?? (lacking('remote-viewer') ? 'no remote-viewer' : undefined);

let town: Town;
let alice: Person;
let bob: Person;
let screen: { server: ChildProcess; display: string; folder: string };
beforeAll(async () => {
  if (LACKING !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  bob = town.add('b', false);
  screen = await openScreenOf(alice);
});
afterEach(() => void town?.sudo(alice, 'stop', '--force', NAME));
afterAll(async () => {
  if (screen) {
    const gone = new Promise((resolve) => screen.server.once('exit', resolve));
    screen.server.kill('SIGTERM');
    await gone;
  }
  town?.remove();
});

/** An X server that a person runs, as on a desktop, and that takes nobody without the proof in that person's home. */
async function openScreenOf(person: Person): Promise<typeof screen> {
  const folder = join(person.home, 'screen');
  mkdirSync(folder);
  const authority = join(person.home, '.Xauthority');
  // The server takes any display's proof, a client the one for its own, whose number is not known before.
  writeFileSync(authority, '', { mode: 0o600 });
  for (const path of [folder, authority]) chownSync(path, person.uid, person.gid);
  const cookie = randomBytes(16);
  writeFileSync(authority, proof('0', cookie));
  const options = ['-displayfd', '3', '-noreset', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'];
  const identity = [`--reuid=${person.uid}`, `--regid=${person.gid}`, '--clear-groups', '--pdeathsig=KILL'];
  const words = [...identity, XVFB ?? '', ...options, '-fbdir', folder, '-auth', authority];
  const server = spawn('/usr/bin/setpriv', words, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const number = await new Promise<string>((resolve, reject) => {
    (server.stdio[3] as Readable).setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    server.once('exit', () => reject(new Error('Xvfb ended')));
  });
  writeFileSync(authority, proof(number, cookie));
  return { server, display: `:${number}`, folder };
}

function proof(display: string, cookie: Buffer): Buffer {
  const fields = [hostname(), display, 'MIT-MAGIC-COOKIE-1', cookie].map((field) => Buffer.from(field));
  return Buffer.concat([
    Buffer.from([1, 0]),
    ...fields.flatMap((field) => [Buffer.from([field.length >> 8, field.length & 255]), field]),
  ]);
}

/** A name of its own, because root may be asked for it without being told whose it is. */
const NAME = `vm-${process.pid}`;

function vmFile(display: string): string {
  const disk = join(town.dir, 'guest.raw');
  writeGuestDisk(disk, 'painter');
  chmodSync(disk, 0o644);
  return town.rootsFile(
    'vm.yaml',
    `name: ${NAME}\ntemplate: none\nfirmware: bios\nmachine: pc\nmemory: 32M\ngpu: std\ndisks: [{ file: ${disk}, read-only: on }]\ndisplay: ${display}\n`,
  );
}

interface Status {
  readonly condition: string;
  readonly pid: number;
  readonly sidecars: readonly { readonly pid: number }[];
}

function status(): Status {
  return JSON.parse(town.sudo(alice, 'status', '--json', NAME).out) as Status;
}

async function seesGuest(): Promise<void> {
  await until('the picture', () => colours(readXwd(join(screen.folder, 'Xvfb_screen0'))) >= 4);
}

describe.skipIf(LACKING !== undefined)(`the screen of --user${LACKING ? ` (left out: ${LACKING})` : ''}`, () => {
  it('is found, with the proof that its server wants, and shows the guest', async () => {
    const file = vmFile('{ type: gtk, gl: off }');
    const { exit, err } = town.sudo(undefined, 'start', '--user', alice.name, file);
    expect(exit, err).toBe(0);
    await seesGuest();
    const { pid } = status();
    expect(statusOf(pid)['Uid']).toMatch(new RegExp(`^${alice.uid}\t`));
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(environment).toContain(`DISPLAY=${screen.display}`);
    expect(environment).toContain(`XAUTHORITY=${alice.home}/.Xauthority`);
  });

  it('is told to be missing where there is none', () => {
    const file = vmFile('{ type: gtk, gl: off }');
    const { exit, err } = town.sudo(undefined, 'start', '--user', bob.name, file);
    expect(exit).toBe(3);
    expect(err).toContain(
      `there is no graphical session: neither WAYLAND_DISPLAY nor DISPLAY is set, and ${bob.name} is`,
    );
  });

  it('is the one that root names, where they have none of their own', () => {
    const words = ['start', '--user', bob.name, vmFile('{ type: gtk, gl: off }')];
    const { exit, err } = town.built.run(words, { env: { DISPLAY: ':59003' } });
    expect(exit).toBe(3);
    expect(err).toContain('DISPLAY is :59003, and there is no /tmp/.X11-unix/X59003');
  });
});

describe.skipIf(NO_VIEWER !== undefined)(`root’s view${NO_VIEWER ? ` (left out: ${NO_VIEWER})` : ''}`, () => {
  it('opens the viewer as the person whose VM it is, at that person’s screen, whoever calls', async () => {
    const file = vmFile('{ type: spice, open: off }');
    expect(town.sudo(alice, 'start', file)).toMatchObject({ exit: 0 });
    expect(status().sidecars).toEqual([]);
    const { exit, err } = town.sudo(undefined, 'view', NAME);
    expect(exit, err).toBe(0);
    const [viewer] = status().sidecars;
    expect(statusOf(viewer?.pid)['Uid']).toMatch(new RegExp(`^${alice.uid}\t`));
    await seesGuest();
    // Whoever calls sudo means a VM of his own, until he says whose.
    expect(town.sudo(bob, 'view', NAME).err).toContain(`there is no VM ${NAME}`);
    expect(town.sudo(bob, 'view', '--user', alice.name, NAME).err).toContain('is open already');
    expect(town.sudo(bob, 'restart-sidecar', NAME, 'viewer', `--user=${alice.name}`)).toMatchObject({ exit: 0 });
    expect(statusOf(status().sidecars[0]?.pid)['Uid']).toMatch(new RegExp(`^${alice.uid}\t`));
    expect(town.sudo(undefined, 'stop', '--force', NAME)).toMatchObject({ exit: 0 });
    expect(status().condition).toBe('stopped');
  });

  it('asks whose it is where several have one of that name', () => {
    const file = vmFile('none');
    try {
      for (const person of [alice, bob]) expect(town.sudo(person, 'start', file)).toMatchObject({ exit: 0 });
      const { exit, err } = town.sudo(undefined, 'view', NAME);
      expect(exit).toBe(2);
      expect(err).toContain(`several users have a VM ${NAME} up: ${[alice.name, bob.name].join(', ')}`);
      for (const words of [['--user', bob.name], [`--user=${bob.name}`]])
        expect(town.sudo(undefined, 'view', NAME, ...words)).toMatchObject({ exit: 4 });
      expect(town.sudo(undefined, 'view', NAME, '--user', 'nobody-at-all')).toMatchObject({ exit: 2 });
      expect(town.as(alice, town.ezvm('view', NAME, '--user', bob.name))).toMatchObject({ exit: 2 });
    } finally {
      town.sudo(bob, 'stop', '--force', NAME);
    }
  });
});

import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findDesktop } from '../../src/host/desktop.ts';
import { IS_ROOT, scratch } from './scratch.ts';

const UID = process.getuid?.() ?? 0;
const USER = { uid: UID, name: 'alice' };

let root: string;
let runtime: string;
beforeEach(() => {
  root = scratch();
  runtime = join(root, 'run/user', String(UID));
  mkdirSync(runtime, { recursive: true });
});

function find(): ReturnType<typeof findDesktop> {
  return findDesktop({ ...USER, home: join(root, 'home') }, root);
}

function write(path: string, content: string | Buffer = ''): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

async function listen(path: string): Promise<Server> {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(file, resolve));
  onTestFinished(() => void server.close());
  return server;
}

/** What logind writes of a user and of his sessions, as on Debian 13. */
function logIn(sessions: Readonly<Record<string, string>>, preferred?: string): void {
  const ids = Object.keys(sessions).join(' ');
  const display = preferred === undefined ? '' : `DISPLAY=${preferred}\n`;
  write(
    `run/systemd/users/${UID}`,
    `# This is private data. Do not parse.\nNAME=alice\nSTATE=active\nSTOPPING=no\nRUNTIME=/run/user/${UID}\n${display}SESSIONS=${ids}\nSEATS=seat0\nACTIVE_SESSIONS=${ids}\nONLINE_SESSIONS=${ids}\n`,
  );
  for (const [id, lines] of Object.entries(sessions))
    write(
      `run/systemd/sessions/${id}`,
      `# This is private data. Do not parse.\nUID=${UID}\nUSER=alice\nACTIVE=1\nIS_DISPLAY=1\nSTATE=active\nCLASS=user\nSCOPE=session-${id}.scope\n${lines}\n`,
    );
}

const XORG = 'REMOTE=0\nTYPE=x11\nSEAT=seat0\nDISPLAY=:7';
const GNOME = 'REMOTE=0\nTYPE=wayland\nSEAT=seat0';
const FROM_AFAR = 'REMOTE=1\nTYPE=x11\nDISPLAY=:10';
const CONSOLE = 'REMOTE=0\nTYPE=tty\nSEAT=seat0\nTTY=tty3';

function authority(display: string): Buffer {
  const fields = [hostname(), display, 'MIT-MAGIC-COOKIE-1', '0123456789abcdef'].map((field) => Buffer.from(field));
  return Buffer.concat([
    Buffer.from([1, 0]),
    ...fields.flatMap((field) => [Buffer.from([field.length >> 8, field.length & 255]), field]),
  ]);
}

describe('the desktop of somebody else', () => {
  it('is nowhere for one who is not logged in', () => {
    expect(findDesktop({ uid: 54_321, name: 'bob', home: '/nowhere' }, root)).toEqual({});
    expect(find()).toEqual({ XDG_RUNTIME_DIR: runtime });
  });

  it('on X is where logind says, with the proof that its display manager has put somewhere', () => {
    logIn({ 3: CONSOLE, 5: XORG });
    expect(find()).toEqual({ XDG_RUNTIME_DIR: runtime, DISPLAY: ':7' });
    const places = [
      'home/.Xauthority',
      'tmp/xauth_LkJhGf',
      'run/lightdm/alice/xauthority',
      `run/user/${UID}/xauth_AbCdEf`,
    ];
    for (const place of [...places, `run/user/${UID}/gdm/Xauthority`]) {
      const file = write(place, authority('7'));
      expect(find()['XAUTHORITY']).toBe(file);
    }
  });

  it('is not proven by a file for another display, by a link, or by what is no file', () => {
    logIn({ 5: XORG });
    write('tmp/xauth_other', authority('8'));
    mkdirSync(join(root, 'home'));
    symlinkSync(write('elsewhere', authority('7')), join(root, 'home/.Xauthority'));
    mkdirSync(join(runtime, 'xauth_folder'));
    // It would keep whoever opens it waiting, and a large file would fill the memory of root's ezvm.
    execFileSync('mkfifo', [join(runtime, 'xauth_fifo')]);
    write(`run/user/${UID}/xauth_large`, Buffer.concat([authority('7'), Buffer.alloc(64 * 1024)]));
    expect(find()['XAUTHORITY']).toBeUndefined();
  });

  it('on Wayland is the socket at which a compositor listens, with Xwayland’s beside it', async () => {
    logIn({ 2: GNOME }, '2');
    write(`run/user/${UID}/wayland-0`);
    write(`run/user/${UID}/wayland-0.lock`);
    await listen(`run/user/${UID}/wayland-10`);
    await listen(`run/user/${UID}/wayland-2`);
    await listen(`run/user/${UID}/bus`);
    await listen('tmp/.X11-unix/X4');
    const proof = write(`run/user/${UID}/.mutter-Xwaylandauth.AB12CD`, authority('4'));
    expect(find()).toEqual({
      XDG_RUNTIME_DIR: runtime,
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${runtime}/bus`,
      WAYLAND_DISPLAY: 'wayland-2',
      DISPLAY: ':4',
      XAUTHORITY: proof,
    });
  });

  it('is found without a session manager, by its sockets', async () => {
    await listen('tmp/.X11-unix/X12');
    await listen(`run/user/${UID}/wayland-1`);
    expect(find()).toMatchObject({ WAYLAND_DISPLAY: 'wayland-1', DISPLAY: ':12' });
    // A compositor that was started from a console is not told to logind.
    logIn({ 3: CONSOLE });
    expect(find()).toMatchObject({ WAYLAND_DISPLAY: 'wayland-1', DISPLAY: ':12' });
  });

  it('is the one at this machine, where there is one from afar as well', () => {
    logIn({ 1: FROM_AFAR, 5: XORG });
    expect(find()['DISPLAY']).toBe(':7');
    logIn({ 1: FROM_AFAR }, '1');
    expect(find()['DISPLAY']).toBe(':10');
  });

  it('on X is not mistaken for a compositor in one of its windows', async () => {
    logIn({ 5: XORG });
    await listen(`run/user/${UID}/wayland-1`);
    expect(find()['WAYLAND_DISPLAY']).toBeUndefined();
  });

  it('is not one that is ending, nor that of somebody else whom a damaged file names', () => {
    logIn({ 5: `${XORG}\nSTATE=closing` });
    expect(find()['DISPLAY']).toBeUndefined();
    logIn({ 5: `${XORG}\nUID=4321` });
    expect(find()['DISPLAY']).toBeUndefined();
    logIn({ '../users/1': XORG });
    expect(find()['DISPLAY']).toBeUndefined();
    write(`run/systemd/users/${UID}`, Buffer.from([0, 255, 10, 61]));
    expect(find()).toEqual({ XDG_RUNTIME_DIR: runtime });
  });

  it.skipIf(!IS_ROOT)(`is not made of what belongs to others${IS_ROOT ? '' : ' (needs root)'}`, async () => {
    logIn({ 2: GNOME });
    await listen(`run/user/${UID}/wayland-0`);
    chownSync(join(runtime, 'wayland-0'), 4321, 4321);
    await listen('tmp/.X11-unix/X4');
    chownSync(join(root, 'tmp/.X11-unix/X4'), 4321, 4321);
    expect(find()).toEqual({ XDG_RUNTIME_DIR: runtime });
    chownSync(runtime, 4321, 4321);
    expect(find()).toEqual({});
    logIn({ 5: XORG });
    const proof = write('home/.Xauthority', authority('7'));
    expect(find()['XAUTHORITY']).toBe(proof);
    chownSync(proof, 4321, 4321);
    expect(find()['XAUTHORITY']).toBeUndefined();
  });
});

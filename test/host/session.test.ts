import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findBusFault, findRenderNodes, findScreenFault, findSession, findSound } from '../../src/host/session.ts';
import { openScreen, XVFB } from '../accept/screen.ts';
import { scratch } from './scratch.ts';

async function listen(path: string, greet?: (server: Server) => void): Promise<string> {
  const server = createServer();
  greet?.(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  return path;
}

describe('the variables of a session', () => {
  it('are picked out of an environment, without the empty ones', () => {
    const env = {
      DISPLAY: ':7',
      WAYLAND_DISPLAY: '',
      PULSE_SERVER: 'unix:/p',
      EDITOR: 'vi',
      XDG_RUNTIME_DIR: undefined,
    };
    expect(findSession(env)).toEqual({ DISPLAY: ':7', PULSE_SERVER: 'unix:/p' });
  });
});

describe('sound', () => {
  it('has servers that are known by their sockets, and a card where there is one', async () => {
    const dir = scratch();
    expect(findSound({}, '/nowhere')).toEqual([]);
    expect(findSound({ XDG_RUNTIME_DIR: dir }, '/nowhere')).toEqual([]);
    await listen(join(dir, 'pipewire-0'));
    expect(findSound({ XDG_RUNTIME_DIR: dir }, '/nowhere')).toEqual(['pipewire']);
    mkdirSync(join(dir, 'pulse'));
    await listen(join(dir, 'pulse', 'native'));
    expect(findSound({ XDG_RUNTIME_DIR: dir }, '/nowhere')).toEqual(['pipewire', 'pa']);
    expect(findSound({ XDG_RUNTIME_DIR: dir, PIPEWIRE_REMOTE: 'other' }, '/nowhere')).toEqual(['pa']);
    expect(findSound({ PIPEWIRE_RUNTIME_DIR: dir }, '/nowhere')).toEqual(['pipewire']);
    expect(findSound({ PULSE_SERVER: 'tcp:host' }, '/nowhere')).toEqual(['pa']);
    writeFileSync(join(dir, 'timer'), '');
    expect(findSound({}, dir)).toEqual(['alsa']);
  });

  it('has none where a file only has the name', () => {
    const dir = scratch();
    writeFileSync(join(dir, 'pipewire-0'), '');
    expect(findSound({ XDG_RUNTIME_DIR: dir }, '/nowhere')).toEqual([]);
    expect(findSound({ XDG_RUNTIME_DIR: join(dir, 'pipewire-0') }, '/nowhere')).toEqual([]);
  });
});

describe('GPUs that draw without a screen', () => {
  it('are known by their devices', () => {
    const dir = scratch();
    expect(findRenderNodes(join(dir, 'nowhere'))).toEqual([]);
    for (const name of ['renderD129', 'card0', 'renderD128', 'by-path']) writeFileSync(join(dir, name), '');
    expect(findRenderNodes(dir)).toEqual([`${dir}/renderD128`, `${dir}/renderD129`]);
  });
});

describe('a screen', () => {
  it('is missing where nothing names one', async () => {
    expect((await findScreenFault({}))?.message).toContain('neither WAYLAND_DISPLAY nor DISPLAY is set');
  });

  it('on Wayland is there when its compositor listens, by name or by path', async () => {
    const dir = scratch();
    const session = { XDG_RUNTIME_DIR: dir, WAYLAND_DISPLAY: 'wayland-0' };
    expect((await findScreenFault(session))?.message).toBe(
      `no window can be opened: WAYLAND_DISPLAY is wayland-0, and there is no ${dir}/wayland-0`,
    );
    expect((await findScreenFault({ WAYLAND_DISPLAY: 'wayland-0' }))?.message).toContain('XDG_RUNTIME_DIR');
    const long = `/${'x'.repeat(200)}`;
    expect((await findScreenFault({ WAYLAND_DISPLAY: long }))?.message).toContain(long);
    await listen(join(dir, 'wayland-0'));
    expect(await findScreenFault(session)).toBeUndefined();
    expect(await findScreenFault({ WAYLAND_DISPLAY: join(dir, 'wayland-0') })).toBeUndefined();
  });

  it.each([
    [':59001', 'there is no /tmp/.X11-unix/X59001'],
    ['unix:59001.0', 'there is no /tmp/.X11-unix/X59001'],
    ['nonsense', 'names no X server'],
    ['127.0.0.1:64000', 'names no X server'],
    [`unix:${'9'.repeat(200)}`, 'names no X server'],
    ['127.0.0.1:59000', 'nothing answers at 127.0.0.1:65000'],
  ])('on X at %s is told to be missing', async (DISPLAY, reason) => {
    expect((await findScreenFault({ DISPLAY }))?.message).toContain(reason);
  });

  it('that is one of two is enough, and of two dead ones both are told', async () => {
    const dir = scratch();
    await listen(join(dir, 'wayland-1'));
    const session = { DISPLAY: ':59001', WAYLAND_DISPLAY: 'wayland-1', XDG_RUNTIME_DIR: dir };
    expect(await findScreenFault(session)).toBeUndefined();
    const fault = await findScreenFault({ ...session, WAYLAND_DISPLAY: 'wayland-2' });
    expect(fault?.message).toMatch(/wayland-2.*; DISPLAY is :59001/);
  });

  it('whose server takes a connection and says nothing, or hangs up, is dead', async () => {
    const dir = scratch();
    const number = 40_000 + (process.pid % 10_000);
    const path = `/tmp/.X11-unix/X${number}`;
    mkdirSync('/tmp/.X11-unix', { recursive: true });
    let hangUp = false;
    await listen(path, (server) => server.on('connection', (socket) => (hangUp ? socket.end() : socket.resume())));
    const session = { DISPLAY: `:${number}`, XAUTHORITY: join(dir, 'none') };
    expect((await findScreenFault(session))?.message).toContain(`what listens at ${path} does not answer`);
    hangUp = true;
    expect((await findScreenFault(session))?.message).toContain('hangs up');
  });
});

describe.skipIf(XVFB === undefined)(`a real X server${XVFB ? '' : ' (left out: no Xvfb)'}`, () => {
  it('is a screen', async () => {
    const screen = await openScreen();
    onTestFinished(screen.close);
    expect(await findScreenFault(findSession(screen.env))).toBeUndefined();
    await screen.close();
    expect((await findScreenFault(findSession(screen.env)))?.message).toContain('no window can be opened');
  });

  it('that asks for a cookie takes those who have it, and says that it refuses others', async () => {
    const dir = scratch();
    const right = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    const auth = write(dir, 'auth', authority('0', right));
    const child = spawn(XVFB ?? '', ['-displayfd', '3', '-noreset', '-auth', auth, '-nolisten', 'tcp'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill());
    const number = await new Promise<string>((resolve) =>
      child.stdio[3]?.once('data', (text: Buffer) => resolve(String(text).trim())),
    );
    const other = authority('9999', Buffer.alloc(16));
    const mine = write(dir, 'mine', Buffer.concat([other, authority(number, right)]));
    expect(await findScreenFault({ DISPLAY: `:${number}`, XAUTHORITY: mine })).toBeUndefined();
    const wrong = write(dir, 'wrong', authority(number, Buffer.alloc(16)));
    const cut = write(dir, 'cut', authority(number, right).subarray(0, -3));
    for (const file of [wrong, cut, join(dir, 'none'), dir])
      expect((await findScreenFault({ DISPLAY: `:${number}`, XAUTHORITY: file }))?.message).toContain(
        'the X server refuses you',
      );
  });
});

function write(dir: string, name: string, bytes: Buffer): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

/** One entry of an Xauthority file, for a display of this machine. */
function authority(display: string, cookie: Buffer): Buffer {
  const fields = [hostname(), display, 'MIT-MAGIC-COOKIE-1', cookie].map((field) => Buffer.from(field));
  return Buffer.concat([
    Buffer.from([1, 0]),
    ...fields.flatMap((field) => [Buffer.from([field.length >> 8, field.length & 255]), field]),
  ]);
}

describe('a session bus', () => {
  it('is there when something listens', async () => {
    const path = join(scratch(), 'bus');
    const session = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path},guid=1` };
    expect((await findBusFault({}))?.message).toContain('DBUS_SESSION_BUS_ADDRESS is not set');
    expect((await findBusFault(session))?.message).toContain(`there is no ${path}`);
    await listen(path);
    expect(await findBusFault(session)).toBeUndefined();
    const name = `ezvm-test-${process.pid}`;
    await listen(`\0${name}`);
    expect(await findBusFault({ DBUS_SESSION_BUS_ADDRESS: `unix:abstract=${name}` })).toBeUndefined();
    expect(await findBusFault({ DBUS_SESSION_BUS_ADDRESS: 'tcp:host=nowhere,port=1' })).toBeUndefined();
  });
});

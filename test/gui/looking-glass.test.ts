import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { CHECKOUT } from '../checkout.ts';
import { Desk } from './desk.ts';
import { HostApplication } from './host-application.ts';
import type { Picture } from './picture.ts';

/** The client refuses to be run by root. */
const IS_ROOT = process.geteuid?.() === 0;
const UID = IS_ROOT ? 65534 : undefined;
const MIB = 1024 * 1024;

interface Listed {
  readonly client?: string;
}

const CLIENT = (
  JSON.parse(
    execFileSync(process.execPath, [join(CHECKOUT, 'test', 'qemus.mjs'), '--list'], { encoding: 'utf8' }),
  ) as Listed[]
).find(({ client }) => client !== undefined)?.client;

const LACKING =
  CLIENT === undefined
    ? 'no Looking Glass client: node test/qemus.mjs gets one on Debian'
    : XVFB === undefined
      ? 'no Xvfb'
      : IS_ROOT && !readableByAll(CHECKOUT)
        ? 'another user than root cannot read this checkout'
        : undefined;

function readableByAll(path: string): boolean {
  return (statSync(path).mode & 0o005) === 0o005 && (path === '/' || readableByAll(dirname(path)));
}

/** A client that another user can run: in root's cache, nobody else finds anything. */
function clientFor(client: string): string {
  if (!IS_ROOT) return client;
  const folder = mkdtempSync(join(tmpdir(), 'ezvm-lg-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const place = dirname(client);
  try {
    execFileSync('cp', ['-al', join(place, 'root'), folder], { stdio: 'ignore' });
  } catch {
    execFileSync('cp', ['-a', join(place, 'root'), folder]);
  }
  const copy = join(folder, basename(client));
  writeFileSync(copy, readFileSync(client, 'utf8').replaceAll(place, folder), { mode: 0o755 });
  return copy;
}

/** What the host application shows: never what the emulated card does. */
function inverted({ width, height, pixels }: Picture): Picture {
  return { width, height, pixels: Buffer.from(pixels.map((byte) => 255 - byte)) };
}

async function open(memory: string): Promise<Desk> {
  const desk = await Desk.open(
    `display: { type: looking-glass, device: ${memory}, resolution: 1920x1080, window: 640x480 }`,
    UID === undefined ? {} : { uid: UID },
  );
  onTestFinished(() => desk.close());
  const config = join(desk.machine.dir, 'config', 'ezvm');
  mkdirSync(config, { recursive: true });
  writeFileSync(join(config, 'ezvm.yaml'), `programs: { looking-glass-client: ${clientFor(CLIENT ?? '')} }\n`);
  desk.handOver();
  return desk;
}

/** Starts the VM as its owner, who is not root; gives what was said. */
async function start(desk: Desk): Promise<string> {
  const { exit, err } = await desk.machine.ezvm(desk.machine.file);
  expect(exit, err).toBe(0);
  return err;
}

function memoryFile(): string {
  const path = join('/dev/shm', basename(mkdtempSync(join(tmpdir(), 'ezvm-lg-memory-'))));
  onTestFinished(() => {
    rmSync(path, { force: true });
    rmSync(join(tmpdir(), basename(path)), { recursive: true, force: true });
  });
  return path;
}

describe.skipIf(LACKING !== undefined)(`Looking Glass${LACKING ? ` (left out: ${LACKING})` : ''}`, () => {
  it('shows what the host application sends, in memory that is its own user’s alone', async () => {
    const memory = memoryFile();
    const desk = await open(memory);
    expect(await start(desk)).not.toContain('looking-glass-client');
    const { size, mode, uid } = statSync(memory);
    expect([size, mode & 0o777, uid]).toEqual([32 * MIB, 0o600, UID ?? process.getuid?.()]);
    // Until the host application answers, the client shows the emulated card, by SPICE.
    await desk.seesGuest();
    const picture = inverted(await desk.dump());
    const host = new HostApplication(memory, picture);
    onTestFinished(() => host.close());
    await desk.sees(picture, 'looking-glass');
    const log = readFileSync(join(desk.machine.dir, 'state', 'ezvm', 'vm', 'looking-glass-client.log'), 'utf8');
    expect(log).not.toMatch(/Ignored (unknown|invalid)/);

    const [first] = (await desk.machine.status()).sidecars;
    process.kill(first?.pid ?? 0, 'SIGKILL');
    expect(await desk.machine.ezvm('view', 'vm')).toMatchObject({ exit: 0 });
    await desk.sees(picture);
    expect(await desk.machine.ezvm('stop', 'vm')).toMatchObject({ exit: 0 });
    expect(existsSync(memory)).toBe(false);
  });

  it('takes a file that an earlier run left, whatever its size and mode', async () => {
    const memory = memoryFile();
    writeFileSync(memory, 'KVMFR---', { mode: 0o666 });
    if (UID !== undefined) execFileSync('chown', [`${UID}:${UID}`, memory]);
    const desk = await open(memory);
    await start(desk);
    expect(statSync(memory).size).toBe(32 * MIB);
    expect(statSync(memory).mode & 0o777).toBe(0o600);
    await desk.seesGuest();
  });

  it.skipIf(UID === undefined)('refuses a file of somebody else’s, and leaves it as it is', async () => {
    const memory = memoryFile();
    writeFileSync(memory, 'trap', { mode: 0o666 });
    const desk = await open(memory);
    const { exit, err } = await desk.machine.ezvm(desk.machine.file);
    expect(exit).toBe(3);
    expect(err).toContain(`${memory} is there, and not a plain file of your own`);
    expect(readFileSync(memory, 'utf8')).toBe('trap');
    expect(existsSync(join(desk.machine.dir, 'run', 'ezvm', 'vm'))).toBe(false);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { openScreen } from './screen.ts';

/** The one directory of the one session of a test file, made when it is opened. */
const DIR = join(tmpdir(), `ezvm-desk-${process.pid}`);

/** The programs of a desktop's session that run, once it is open: what is installed, and could be started. */
export const RUNNING = new Set<string>();

/** The session's message bus, where one can be started. */
export const BUS_ADDRESS = `unix:path=${join(DIR, 'bus')}`;

/** A session that nobody sees or hears: a screen, sound servers without cards, a message bus. */
export interface Desktop {
  /** What windows, sounds and viewers find it by, and nothing else. */
  readonly env: Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
}

const PATH = (process.env['PATH'] ?? '').split(delimiter);

/** Far longer than any of them takes to open its socket. */
const PATIENCE_MS = 60_000;

/** Starts what of a desktop is installed. */
export async function openDesktop(): Promise<Desktop> {
  const jack = `ezvm-${process.pid}`;
  const env: Record<string, string> = {
    XDG_RUNTIME_DIR: DIR,
    XDG_CONFIG_HOME: join(DIR, 'config'),
    XDG_DATA_HOME: join(DIR, 'data'),
    ALSA_CONFIG_PATH: join(DIR, 'asound.conf'),
    SDL_AUDIODRIVER: 'dummy',
    JACK_DEFAULT_SERVER: jack,
    JACK_NO_START_SERVER: '1',
  };
  rmSync(DIR, { recursive: true, force: true });
  mkdirSync(DIR, { mode: 0o700 });
  mkdirSync(join(DIR, 'config'));
  mkdirSync(join(DIR, 'data', 'applications'), { recursive: true });
  writeFileSync(join(DIR, 'asound.conf'), 'pcm.!default { type null }\nctl.!default { type null }\n');
  // What opens the addresses of SPICE servers, as far as QEMU can tell.
  const scheme = 'x-scheme-handler/spice+unix';
  writeFileSync(join(DIR, 'config', 'mimeapps.list'), `[Default Applications]\n${scheme}=viewer.desktop\n`);
  writeFileSync(
    join(DIR, 'data', 'applications', 'viewer.desktop'),
    `[Desktop Entry]\nType=Application\nName=Viewer\nExec=/bin/true %u\nMimeType=${scheme};\n`,
  );

  const screen = await openScreen();
  const children: ChildProcess[] = [];
  const start = async (argv: readonly string[], socket: string): Promise<void> => {
    const [program = '', ...words] = argv;
    if (!PATH.some((folder) => existsSync(join(folder, program)))) return;
    const child = spawn('/usr/bin/setpriv', ['--pdeathsig=KILL', program, ...words], {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    children.push(child);
    const deadline = performance.now() + PATIENCE_MS;
    while (!existsSync(socket)) {
      // JACK is for eight servers on a machine, and counts some that are long dead.
      if (child.exitCode !== null) return;
      if (performance.now() > deadline) throw new Error(`${program} opened no ${socket}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    RUNNING.add(program);
  };
  const bus = join(DIR, 'bus');
  await Promise.all([
    start(['dbus-daemon', '--session', '--nofork', '--nopidfile', `--address=${BUS_ADDRESS}`], bus),
    start(['pipewire'], join(DIR, 'pipewire-0')).then(() => start(['pipewire-pulse'], join(DIR, 'pulse', 'native'))),
    start(['jackd', '-n', jack, '--no-realtime', '-d', 'dummy'], `/dev/shm/jack_${jack}_${process.getuid?.()}_0`),
  ]);
  return {
    env: { ...env, ...(existsSync(bus) && { DBUS_SESSION_BUS_ADDRESS: BUS_ADDRESS }), ...screen.env },
    close: async () => {
      await Promise.all([...children.map(end), screen.close()]);
      rmSync(DIR, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await gone;
}

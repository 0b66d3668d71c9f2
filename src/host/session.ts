import { existsSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { namesIn } from './reading.ts';
import { greetX, refusalIn } from './x-server.ts';

/** The variables by which windows, sounds and the message bus of somebody's desktop are found. */
const VARIABLES = [
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'GDK_BACKEND',
  'SDL_VIDEODRIVER',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
  'PULSE_SERVER',
  'PIPEWIRE_REMOTE',
  'PIPEWIRE_RUNTIME_DIR',
];

/** Variables of a session with their values. */
export type Session = { readonly [variable: string]: string };

/** Of an environment, what belongs to the session; empty strings are left out. */
export function findSession(env: Readonly<Record<string, string | undefined>>): Session {
  return Object.fromEntries(VARIABLES.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/**
 * What can play sound, best first, as QEMU names its back-ends: the servers whose sockets are there (PipeWire mostly brings
 * PulseAudio's along), and ALSA where there is a card.
 */
export function findSound(session: Session, devices = '/dev/snd'): string[] {
  const runtime = session['XDG_RUNTIME_DIR'];
  const pipewireDir = session['PIPEWIRE_RUNTIME_DIR'] ?? runtime;
  const pipewire = join(pipewireDir, session['PIPEWIRE_REMOTE'] ?? 'pipewire-0');
  const pulse = join(runtime, 'pulse/native');
  return [
    ...(process.platform === 'darwin' ? ['coreaudio'] : []),
    ...(isSocket(pipewire) ? ['pipewire'] : []),
    ...(session['PULSE_SERVER'] !== undefined || isSocket(pulse) ? ['pa'] : []),
    ...(existsSync(`${devices}/timer`) ? ['alsa'] : []),
  ];
}

/** Devices of GPUs that draw without a screen, in the order in which QEMU would look at them. */
export function findRenderNodes(directory = '/dev/dri'): string[] {
  return namesIn(directory)
    .filter((name) => /^renderD\d+$/.test(name))
    .toSorted()
    .map((name) => `${directory}/${name}`);
}

/** Why something of a session cannot be used, in words. */
export interface SessionFault {
  readonly message: string;
  readonly help: string;
}

/** Milliseconds after which a server that has not answered counts as dead. */
const PATIENCE = 2000;

/** Why no window can be opened; undefined where a Wayland compositor or an X server takes us. Never rejects. */
export async function findScreenFault(session: Session): Promise<SessionFault | undefined> {
  const { DISPLAY: display, WAYLAND_DISPLAY: wayland } = session;
  if (display === undefined && wayland === undefined) return noScreen();
  const reasons: string[] = [];
  if (wayland !== undefined) {
    const reason = await askWayland(wayland, session['XDG_RUNTIME_DIR']);
    if (reason === undefined) return undefined;
    reasons.push(`WAYLAND_DISPLAY is ${wayland}, and ${reason}`);
  }
  if (display !== undefined) {
    const reason = await askX(display, session['XAUTHORITY'] ?? `${homedir()}/.Xauthority`);
    if (reason === undefined) return undefined;
    reasons.push(`DISPLAY is ${display}, and ${reason}`);
  }
  return {
    message: `no window can be opened: ${reasons.join('; ')}`,
    help: 'start it from a terminal on your desktop, as the user who is logged in there',
  };
}

/** Whoever comes by ssh or sudo may have a desktop, of which his variables do not tell. */
async function noScreen(): Promise<SessionFault> {
  const { findDesktop } = await import('./desktop.ts');
  const user = findSelf();
  const desktop = Object.entries(findDesktop(user)).filter(([variable]) => SCREENS.includes(variable));
  const message = 'there is no graphical session: neither WAYLAND_DISPLAY nor DISPLAY is set';
  if (desktop.length > 0) {
    const variables = desktop.map((pair) => pair.join('=')).join(' ');
    return { message, help: `${user.name} has a screen; to open a window there, set ${variables}` };
  }
  return {
    message: `${message}, and ${user.name} is logged in at no screen`,
    help: 'start it from a terminal on your desktop, or choose a display without a window: none, vnc or egl-headless',
  };
}

function findSelf(): { uid: number; name: string; home: string } {
  const uid = process.geteuid?.() ?? -1;
  try {
    return { uid, name: userInfo().username, home: homedir() };
  } catch {
    // A uid without an entry in the password file, as in many containers.
    return { uid, name: `user ${uid}`, home: homedir() };
  }
}

const SCREENS: readonly string[] = ['WAYLAND_DISPLAY', 'DISPLAY', 'XAUTHORITY'];

/** Why the session's message bus cannot be used; undefined where something listens there. Never rejects. */
export async function findBusFault(session: Session): Promise<SessionFault | undefined> {
  const help = 'start it from a terminal on your desktop, or under `dbus-run-session`';
  const address = session['DBUS_SESSION_BUS_ADDRESS'];
  if (address === undefined) return { message: 'there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set', help };
  const path = /^unix:(?:.*,)?path=([^,;]+)/.exec(address)?.[1];
  const abstract = /^unix:(?:.*,)?abstract=([^,;]+)/.exec(address)?.[1];
  // Of other kinds of addresses only the bus's own library knows.
  if (path === undefined && abstract === undefined) return undefined;
  const reason = await connects({ path: path ?? `\0${abstract}` });
  return reason === undefined ? undefined : { message: `the session bus at ${address} is dead: ${reason}`, help };
}

function join(dir: string | undefined, name: string): string {
  return name.startsWith('/') || dir === undefined ? name : `${dir}/${name}`;
}

function isSocket(path: string): boolean {
  try {
    return path.startsWith('/') && (statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false);
  } catch {
    return false;
  }
}

async function askWayland(display: string, runtime: string | undefined): Promise<string | undefined> {
  if (!display.startsWith('/') && runtime === undefined) return 'XDG_RUNTIME_DIR, where its socket is, is not set';
  return connects({ path: join(runtime, display) });
}

/** A server on this machine is asked whether it takes us, of one behind a network only whether it is there. */
async function askX(display: string, authority: string): Promise<string | undefined> {
  const [, host = '', number = ''] = /^(?:[^/:]*\/)?([^:]*|\[.*\]):(\d+)(?:\.\d+)?$/.exec(display) ?? [];
  if (number === '' || Number(number) > LAST_DISPLAY) return 'that names no X server';
  if (host !== '' && host !== 'unix') return connects({ host, port: 6000 + Number(number) });
  const path = `/tmp/.X11-unix/X${number}`;
  const greeting = greetX(number, authority);
  const reason = await connects({ path }, greeting);
  // Inside of a container the socket's file may be missing, and the abstract name be there.
  return reason?.startsWith(GONE) && (await connects({ path: `\0${path}` }, greeting)) === undefined
    ? undefined
    : reason;
}

const GONE = 'there is no';
/** A display's TCP port is 6000 more. */
const LAST_DISPLAY = 59_535;

/**
 * Connects, and where there is something to say, says it and reads whether the X server takes it.
 * @returns why not, continuing a sentence
 */
async function connects(
  target: { path: string } | { host: string; port: number },
  greeting?: Buffer,
): Promise<string | undefined> {
  const { connect } = await import('node:net');
  const where = 'path' in target ? target.path.replace('\0', '@') : `${target.host}:${target.port}`;
  return new Promise((resolve) => {
    const socket = connect(target);
    const finish = (reason?: string): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(PATIENCE, () => finish(`what listens at ${where} does not answer`));
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      finish(
        code === 'ENOENT'
          ? `${GONE} ${where}`
          : code === 'EACCES'
            ? `you may not open ${where}`
            : `nothing answers at ${where}`,
      ),
    );
    socket.once('connect', () => (greeting ? socket.write(greeting) : finish()));
    socket.once('data', (reply: Buffer) => finish(refusalIn(reply)));
    socket.once('end', () => finish(`what listens at ${where} hangs up`));
  });
}

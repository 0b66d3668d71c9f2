import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Account } from './account.ts';
import { namesIn, textIn } from './reading.ts';
import type { Session } from './session.ts';
import { hasCookie } from './x-server.ts';

/**
 * The variables by which the programs of somebody's desktop find it, for one who is not in it: root, or somebody who is
 * logged in from afar. What is not there is left out. Never throws.
 * @param root before every path, for a host that is described by files
 */
export function findDesktop(user: Pick<Account, 'uid' | 'name' | 'home'>, root = ''): Session {
  const runtime = `${root}/run/user/${user.uid}`;
  const hasRuntime = belongsTo(runtime, user.uid, 'directory');
  const login = findLogin(user.uid, `${root}/run/systemd`);
  const wayland =
    hasRuntime && login?.type !== 'x11'
      ? listening(runtime, /^wayland-(\d+)$/).find((name) => belongsTo(`${runtime}/${name}`, user.uid, 'socket'))
      : undefined;
  const display = login?.display ?? ownDisplay(`${root}/tmp/.X11-unix`, user.uid);
  const authority = display === undefined ? undefined : findAuthority(display, user, root);
  return {
    ...(hasRuntime && { XDG_RUNTIME_DIR: runtime }),
    ...(belongsTo(`${runtime}/bus`, user.uid, 'socket') && { DBUS_SESSION_BUS_ADDRESS: `unix:path=${runtime}/bus` }),
    ...(wayland !== undefined && { WAYLAND_DISPLAY: wayland }),
    ...(display !== undefined && { DISPLAY: display }),
    ...(authority !== undefined && { XAUTHORITY: authority }),
  };
}

/** Somebody's being logged in at a screen. */
interface Login {
  readonly type: string;
  /** Of the X server; many display managers do not tell it. */
  readonly display: string | undefined;
}

/**
 * What logind, or elogind, has written down of a user's graphical session: the files are those that libsystemd's functions
 * of sd-login(3) read. Of several it is the one that logind itself prefers, and one at this machine before any from afar.
 */
function findLogin(uid: number, folder: string): Login | undefined {
  const user = readAssignments(`${folder}/users/${uid}`);
  const ids = ['DISPLAY', 'ACTIVE_SESSIONS', 'ONLINE_SESSIONS', 'SESSIONS'].flatMap(
    (key) => user[key]?.split(' ') ?? [],
  );
  const logins = [...new Set(ids)]
    .filter((id) => /^[A-Za-z0-9]+$/.test(id))
    .map((id) => readAssignments(`${folder}/sessions/${id}`))
    .filter(({ UID, TYPE, STATE }) => UID === String(uid) && /^(x11|wayland)$/.test(TYPE ?? '') && STATE !== 'closing');
  const found = logins.find(({ REMOTE }) => REMOTE !== '1') ?? logins[0];
  return found && { type: found['TYPE'] ?? '', display: found['DISPLAY'] };
}

/** `NAME=value` or `NAME="value"` in each line; nothing where there is no such file. */
function readAssignments(file: string): Record<string, string> {
  return Object.fromEntries(
    [...textIn(file).matchAll(/^([A-Z_]+)=(?:"(.*)"|(.+))$/gm)].map(([, name = '', quoted, plain]) => [
      name,
      quoted ?? plain ?? '',
    ]),
  );
}

/** The X server that is run by the user himself, as most are, and Xwayland always is. */
function ownDisplay(folder: string, uid: number): string | undefined {
  const name = listening(folder, /^X(\d+)$/).find((one) => belongsTo(`${folder}/${one}`, uid, 'socket'));
  return name?.replace('X', ':');
}

/** The file with the proof for a display: display managers and compositors have places of their own. */
function findAuthority(
  display: string,
  { uid, name, home }: Pick<Account, 'uid' | 'name' | 'home'>,
  root: string,
): string | undefined {
  const number = /^(?:unix)?:(\d+)/.exec(display)?.[1];
  if (number === undefined) return undefined;
  const runtime = `${root}/run/user/${uid}`;
  const within = (folder: string, pattern: RegExp): string[] =>
    namesIn(folder)
      .filter((one) => pattern.test(one))
      .map((one) => `${folder}/${one}`);
  const places = [
    `${runtime}/gdm/Xauthority`,
    ...within(runtime, /^(xauth_|\.mutter-Xwaylandauth\.)/),
    `${root}/run/lightdm/${name}/xauthority`,
    ...within(`${root}/tmp`, /^xauth_/),
    `${home}/.Xauthority`,
  ];
  return places.find((place) => {
    const bytes = readOwn(place, uid);
    return bytes !== undefined && hasCookie(number, bytes);
  });
}

/** The sockets in a folder with such names at which something listens, by the number in their names. */
function listening(folder: string, pattern: RegExp): string[] {
  const table = existsSync('/proc/net/unix') ? readFileSync('/proc/net/unix', 'utf8') : undefined;
  // The file of a server that crashed stays.
  return namesIn(folder)
    .filter((name) => pattern.test(name) && (table?.includes(` ${folder}/${name}\n`) ?? true))
    .toSorted((a, b) => Number(pattern.exec(a)?.[1]) - Number(pattern.exec(b)?.[1]));
}

/** Bytes; one proof has less than 300. */
const LARGEST_AUTHORITY = 64 * 1024;

/** A small file of somebody's own, who may change what is there at any moment; undefined where it is none. */
function readOwn(path: string, uid: number): Buffer | undefined {
  let fd: number | undefined;
  try {
    // What has been looked at must be what is read, and a FIFO must keep nobody waiting.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
    const found = fstatSync(fd);
    if (!found.isFile() || found.uid !== uid || found.size > LARGEST_AUTHORITY) return undefined;
    const bytes = Buffer.alloc(found.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Links are not followed: the one who looks may be root. */
function belongsTo(path: string, uid: number, kind: 'directory' | 'socket'): boolean {
  try {
    const found = lstatSync(path);
    const isKind = { directory: found.isDirectory(), socket: found.isSocket() }[kind];
    return isKind && found.uid === uid;
  } catch {
    return false;
  }
}

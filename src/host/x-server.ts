import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

const COOKIE = 'MIT-MAGIC-COOKIE-1';

/** Xauthority's families of addresses. */
const ANYWHERE = 65535;
const HERE = 256;

/**
 * What a client says first to the X server `number` of this machine: byte order, version 11.0, and the proof that
 * the Xauthority file `authority` holds for it, where it holds one.
 */
export function greetX(number: string, authority: string): Buffer {
  const cookie = cookieFor(number, authority);
  const name = Buffer.from(cookie ? COOKIE : '');
  const head = Buffer.alloc(12);
  head.write('l');
  head.writeUInt16LE(11, 2);
  head.writeUInt16LE(name.length, 6);
  head.writeUInt16LE(cookie?.length ?? 0, 8);
  return Buffer.concat([head, padded(name), padded(cookie ?? Buffer.alloc(0))]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

/** Why the server that gave this first reply takes no clients of ours, continuing a sentence; undefined where it does. */
export function refusalIn(reply: Buffer): string | undefined {
  if (reply[0] === 1) return undefined;
  const text = reply.toString('latin1', 8, 8 + (reply[1] ?? 0)).trim();
  return `the X server refuses you${text === '' ? '' : `: ${text}`}`;
}

/** Whether what an Xauthority file has in it holds a proof for display `number` of this machine. */
export function hasCookie(number: string, bytes: Buffer): boolean {
  return findCookie(number, bytes) !== undefined;
}

function cookieFor(number: string, file: string): Buffer | undefined {
  try {
    return findCookie(number, readFileSync(file));
  } catch {
    return undefined;
  }
}

/** The proof for display `number` of this machine that an Xauthority file holds: see Xau(3). */
function findCookie(number: string, bytes: Buffer): Buffer | undefined {
  let at = 0;
  const field = (): Buffer => {
    const length = bytes.readUInt16BE(at);
    at += 2 + length;
    return bytes.subarray(at - length, at);
  };
  try {
    while (at < bytes.length) {
      const family = bytes.readUInt16BE(at);
      at += 2;
      const [address = '', display = '', name = ''] = [field(), field(), field()].map(String);
      const cookie = field();
      const isOurs = family === ANYWHERE || (family === HERE && address === hostname());
      if (isOurs && (display === '' || display === number) && name === COOKIE) return cookie;
    }
  } catch {
    // A file cut short ends where it ends.
  }
  return undefined;
}

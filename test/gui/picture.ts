import { readFileSync, writeFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

/** Pixels as three bytes each, red first, from the left upper corner. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Buffer;
}

export interface Bounds {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** What QEMU's `screendump` writes: PPM, binary. */
export function readPpm(file: string): Picture {
  const bytes = readFileSync(file);
  const [head = '', width, height] = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString('latin1', 0, 64)) ?? [];
  return { width: Number(width), height: Number(height), pixels: bytes.subarray(head.length) };
}

/** What Xvfb shows, as its `-fbdir` keeps it: XWD, with four bytes a pixel. */
export function readXwd(file: string): Picture {
  const bytes = readFileSync(file);
  const field = (index: number): number => bytes.readUInt32BE(index * 4);
  const [width, height, lineBytes] = [field(4), field(5), field(12)];
  // The colour map stands between header and pixels, twelve bytes a colour.
  const start = field(0) + field(19) * 12;
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0, from = start + y * lineBytes; x < width; x++, from += 4) {
      pixels[to++] = bytes[from + 2] ?? 0;
      pixels[to++] = bytes[from + 1] ?? 0;
      pixels[to++] = bytes[from] ?? 0;
    }
  return { width, height, pixels };
}

/**
 * How much of `part` is found in `whole`, wherever the four pixels in the middle of `part` are: 1 is all of it, 0 is that
 * they are nowhere. A viewer may have been sent a picture that was packed with losses, so near is good enough.
 */
export function share(part: Picture, whole: Picture): number {
  const [middleX, middleY] = [part.width >> 1, part.height >> 1];
  let best = 0;
  for (let top = 0; top + part.height <= whole.height; top++)
    for (let left = 0; left + part.width <= whole.width; left++) {
      const isHere = [-1, 0].every((dy) =>
        [-1, 0].every((dx) => near(part, middleX + dx, middleY + dy, whole, left + middleX + dx, top + middleY + dy)),
      );
      if (isHere) best = Math.max(best, shareAt(part, whole, left, top));
    }
  return best;
}

function shareAt(part: Picture, whole: Picture, left: number, top: number): number {
  let same = 0;
  for (let y = 0; y < part.height; y++)
    for (let x = 0; x < part.width; x++) if (near(part, x, y, whole, left + x, top + y)) same++;
  return same / (part.width * part.height);
}

function near(a: Picture, ax: number, ay: number, b: Picture, bx: number, by: number): boolean {
  const [from, to] = [(ay * a.width + ax) * 3, (by * b.width + bx) * 3];
  for (let byte = 0; byte < 3; byte++)
    if (Math.abs((a.pixels[from + byte] ?? 0) - (b.pixels[to + byte] ?? 255)) > 12) return false;
  return true;
}

/** The smallest rectangle that holds all that is not black, which is what an empty screen shows. */
export function boundsOf({ width, height, pixels }: Picture): Bounds {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (pixels.readUIntBE((y * width + x) * 3, 3) === 0) continue;
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x + 1), Math.max(bottom, y + 1)];
    }
  return { left, top, right: Math.max(left, right), bottom: Math.max(top, bottom) };
}

/** That rectangle of a picture. */
export function trimmed(picture: Picture): Picture {
  const { width, pixels } = picture;
  const { left, top, right, bottom } = boundsOf(picture);
  const rows: Buffer[] = [];
  for (let y = top; y < bottom; y++) rows.push(pixels.subarray((y * width + left) * 3, (y * width + right) * 3));
  return { width: right - left, height: bottom - top, pixels: Buffer.concat(rows) };
}

/** How many colours a picture has, up to `most`. */
export function colours({ pixels }: Picture, most = 16): number {
  const seen = new Set<number>();
  for (let at = 0; at < pixels.length && seen.size < most; at += 3) seen.add(pixels.readUIntBE(at, 3));
  return seen.size;
}

/** Writes a picture as PNG. */
export function writePng(file: string, { width, height, pixels }: Picture): void {
  const rows = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y++) pixels.copy(rows, y * (width * 3 + 1) + 1, y * width * 3, (y + 1) * width * 3);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits a colour, three colours.
  header.set([8, 2, 0, 0, 0], 8);
  const chunks = [
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ];
  writeFileSync(file, Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]));
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

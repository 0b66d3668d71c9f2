import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type { Picture } from './picture.ts';

/*
 * What the host application of Looking Glass B7 does inside of Windows: it publishes pictures in the shared memory, by LGMP 6
 * and KVMFR 20. The layouts are those that C gives the structures in LGMP's headers.h and Looking Glass's KVMFR.h.
 */
const LGMP = { magic: 0x504d474c, version: 6, queues: 5, header: 5760, firstQueue: 32, queue: 1144, message: 16 };
const HEADER = { magic: 0, version: 4, session: 8, timestamp: 16, queues: 24, userSize: 5752, user: 5756 };
const QUEUE = {
  id: 0,
  messages: 4,
  newSubscribers: 8,
  maxTime: 12,
  position: 16,
  offset: 20,
  subscribers: 416,
  count: 440,
};
const CLIENT_MESSAGES = { available: 448, most: 10 };
const KVMFR_VERSION = 20;
const [POINTERS, FRAMES] = [
  { id: 1, length: 20 },
  { id: 2, length: 2 },
];
const BGRA = 1;
const PAGE = 4096;
/** Milliseconds between two signs of life. */
const HEARTBEAT = 10;

/** Publishes one picture in a file of shared memory until it is closed. */
export class HostApplication {
  readonly #file: number;
  readonly #timer: NodeJS.Timeout;
  readonly #queue = LGMP.firstQueue;
  #messages = 0;
  #frame = 0;
  #position = 0;
  #serial = 0;

  constructor(path: string, picture: Picture) {
    this.#file = openSync(path, 'r+');
    this.#publish(picture);
    this.#timer = setInterval(() => this.#tick(), HEARTBEAT);
  }

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#file);
  }

  #publish(picture: Picture): void {
    const user = userData();
    let free = align(LGMP.header + user.length, 4);
    this.#uint32(HEADER.magic, 0);
    for (const [index, { id, length }] of [FRAMES, POINTERS].entries()) {
      const at = LGMP.firstQueue + index * LGMP.queue;
      this.#write(at, Buffer.alloc(LGMP.queue));
      this.#uint32(at + QUEUE.id, id);
      // One more, which tells full from empty.
      this.#uint32(at + QUEUE.messages, length + 1);
      this.#uint32(at + QUEUE.maxTime, 1000);
      this.#uint32(at + QUEUE.offset, free);
      this.#uint32(at + CLIENT_MESSAGES.available, CLIENT_MESSAGES.most);
      if (id === FRAMES.id) this.#messages = free;
      free = align(free + LGMP.message * (length + 1), 4);
    }
    this.#frame = align(free, PAGE);
    this.#write(this.#frame, frameOf(picture));
    this.#uint32(HEADER.version, LGMP.version);
    this.#uint32(HEADER.session, 1 + Math.floor(Math.random() * 0x7ffffffe));
    this.#uint32(HEADER.queues, 2);
    this.#uint32(HEADER.userSize, user.length);
    this.#write(HEADER.user, user);
    this.#uint32(HEADER.magic, LGMP.magic);
  }

  /** A sign of life, and the picture for a client that has come. */
  #tick(): void {
    const now = Buffer.alloc(8);
    now.writeBigUInt64LE(process.hrtime.bigint() / 1_000_000n);
    this.#write(HEADER.timestamp, now);
    const subscribers = this.#read(this.#queue + QUEUE.subscribers + 4);
    // Without locks, which no file has, nothing may be posted while a client still deals with what was.
    if (subscribers === 0 || this.#read(this.#queue + QUEUE.count) > 0) return;
    if (this.#read(this.#queue + QUEUE.newSubscribers) === 0) return;
    this.#uint32(this.#queue + QUEUE.newSubscribers, 0);
    this.#uint32(this.#frame + 4, ++this.#serial);
    const message = Buffer.alloc(LGMP.message);
    message.writeUInt32LE(fstatSync(this.#file).size - this.#frame, 4);
    message.writeUInt32LE(this.#frame, 8);
    message.writeUInt32LE(subscribers, 12);
    this.#write(this.#messages + this.#position * LGMP.message, message);
    this.#uint32(this.#queue + QUEUE.count, 1);
    this.#position = (this.#position + 1) % (FRAMES.length + 1);
    this.#uint32(this.#queue + QUEUE.position, this.#position);
  }

  #write(at: number, bytes: Buffer): void {
    writeSync(this.#file, bytes, 0, bytes.length, at);
  }

  #uint32(at: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.#write(at, bytes);
  }

  #read(at: number): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#file, bytes, 0, 4, at);
    return bytes.readUInt32LE();
  }
}

function align(offset: number, to: number): number {
  return Math.ceil(offset / to) * to;
}

/** The structure KVMFR. */
function userData(): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.write('KVMFR---', 0);
  bytes.writeUInt32LE(KVMFR_VERSION, 8);
  bytes.write('B7', 12);
  return bytes;
}

/** The structure KVMFRFrame, and the picture on the next page behind how much of it is written: all. */
function frameOf({ width, height, pixels }: Picture): Buffer {
  const bytes = Buffer.alloc(PAGE + width * height * 4);
  // formatVer, frameSerial, type, width and height of screen, data and frame, rotation, stride, pitch, offset
  const fields = [1, 0, BGRA, width, height, width, height, width, height, 0, width, width * 4, PAGE - 4];
  for (const [index, value] of fields.entries()) bytes.writeUInt32LE(value, index * 4);
  bytes.writeUInt32LE(width * height * 4, PAGE - 4);
  for (let from = 0, to = PAGE; from < pixels.length; from += 3, to += 4) {
    bytes[to] = pixels[from + 2] ?? 0;
    bytes[to + 1] = pixels[from + 1] ?? 0;
    bytes[to + 2] = pixels[from] ?? 0;
    bytes[to + 3] = 255;
  }
  return bytes;
}

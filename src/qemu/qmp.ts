import type { Duplex } from 'node:stream';
import { isRecord } from '../core/json.ts';

/** A line longer than this is no answer of QEMU's; its longest, the schema, has a few hundred kilobytes. */
const LONGEST_LINE = 64 * 1024 * 1024;

const ENDED = 'QEMU closed its QMP monitor';

/** QEMU's refusal of a command, in its own words. */
export class QmpError extends Error {
  readonly class: string;
  readonly desc: string;
  readonly command: string;

  constructor(errorClass: string, desc: string, command: string) {
    super(`QEMU refused ${command}: ${desc}`);
    this.name = 'QmpError';
    this.class = errorClass;
    this.desc = desc;
    this.command = command;
  }
}

/** The monitor went away, never answered, or is no monitor. */
export class QmpLost extends Error {
  /** QEMU closed the monitor, which it does when it dies. */
  readonly ended: boolean;

  /** QEMU has begun to talk and then did not answer in time. */
  readonly silent: boolean;

  constructor(message: string, ended = false, silent = false) {
    super(message);
    this.name = 'QmpLost';
    this.ended = ended;
    this.silent = silent;
  }
}

/** Something QEMU tells unasked, such as `SHUTDOWN`. */
export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly seconds: number;
}

interface Pending {
  readonly command: string;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

interface Message {
  readonly QMP?: unknown;
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class?: unknown; readonly desc?: unknown };
  readonly event?: unknown;
  readonly data?: unknown;
  readonly timestamp?: { readonly seconds?: unknown };
}

/** QEMU's machine protocol over any stream. Made by `connectQmp`. */
export class QmpClient {
  /** Resolves once the stream has ended, for whatever reason; never rejects. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #greet: ((error?: QmpLost) => void) | undefined;
  #tellClosed: () => void = () => {};
  #lost: QmpLost | undefined;
  #text = '';
  #lastId = 0;

  constructor(stream: Duplex, greet: (error?: QmpLost) => void) {
    this.#stream = stream;
    this.#greet = greet;
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
    // Decodes across chunks, so that a letter cut in two arrives whole. The stream's own decoder would do it too, but
    // Node's stalls now and then after a chunk that holds nothing but part of a letter.
    const decoder = new TextDecoder();
    stream.on('data', (chunk: Uint8Array) => this.#read(decoder.decode(chunk, { stream: true })));
    stream.on('end', () => this.#lose(ENDED));
    stream.on('close', () => this.#lose(ENDED));
    // QEMU resets the connection when it exits with a request unread; that is an end like any other.
    stream.on('error', (error: NodeJS.ErrnoException) =>
      this.#lose(
        error.code === 'ECONNRESET' || error.code === 'EPIPE' ? ENDED : `the QMP monitor failed: ${error.message}`,
      ),
    );
  }

  /**
   * Runs one command and gives its answer.
   * Throws QmpError when QEMU refuses it, QmpLost when the monitor ends first or `timeoutMs` (default: never) passes.
   */
  execute(command: string, args?: object, timeoutMs?: number): Promise<unknown> {
    if (this.#lost)
      return Promise.reject(new QmpLost(`${this.#lost.message}; ${command} was not sent`, this.#lost.ended));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              this.#pending.delete(id);
              reject(new QmpLost(`QEMU did not answer ${command} within ${seconds(timeoutMs)}`, false, true));
            }, timeoutMs);
      this.#pending.set(id, { command, resolve, reject, timer });
      this.#stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  /** Calls `listener` for each event from now on; the returned function stops that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the connection; what is still unanswered is rejected. */
  close(): void {
    this.#lose('the connection to the QMP monitor was closed');
  }

  #read(chunk: string): void {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      const line = this.#text + chunk.slice(start, end);
      this.#text = '';
      start = end + 1;
      if (line.trim() !== '') this.#take(line);
      if (this.#lost) return;
    }
    this.#text += chunk.slice(start);
    if (this.#text.length > LONGEST_LINE) this.#lose('what answers is no QMP monitor: its line has no end');
  }

  #take(line: string): void {
    const message = parseMessage(line);
    if (message === undefined || (this.#greet && message.QMP === undefined)) {
      this.#lose(`what answers is no QMP monitor: ${JSON.stringify(line.slice(0, 80))}`);
    } else if (this.#greet) {
      this.#greet();
      this.#greet = undefined;
    } else if (typeof message.event === 'string') {
      const event: QmpEvent = {
        event: message.event,
        data: isRecord(message.data) ? message.data : {},
        seconds: Number(message.timestamp?.seconds ?? 0),
      };
      for (const listener of this.#listeners) listener(event);
    } else this.#settle(message);
  }

  #settle(message: Message): void {
    // An answer without an id is to a request that QEMU could not even read; QEMU answers in order.
    const id = typeof message.id === 'number' ? message.id : this.#pending.keys().next().value;
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || !pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    const { error } = message;
    if (error) pending.reject(new QmpError(String(error.class), String(error.desc), pending.command));
    else pending.resolve(message.return);
  }

  #lose(reason: string): void {
    if (this.#lost) return;
    const ended = reason === ENDED;
    this.#lost = new QmpLost(reason, ended);
    this.#greet?.(this.#lost);
    this.#greet = undefined;
    for (const { command, reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new QmpLost(`${reason} before it answered ${command}`, ended));
    }
    this.#pending.clear();
    this.#stream.destroy();
    this.#tellClosed();
  }
}

/** `2 s`, `4.67 s` */
function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 10) / 100} s`;
}

function parseMessage(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Waits for QEMU's greeting on `stream` and turns commands on.
 * Throws QmpLost when the monitor ends first, is none, or gives no sign within `timeoutMs`, as one does that another
 * client holds.
 */
export async function connectQmp(stream: Duplex, options: { readonly timeoutMs: number }): Promise<QmpClient> {
  let timer: NodeJS.Timeout | undefined;
  const client = await new Promise<QmpClient>((resolve, reject) => {
    const made = new QmpClient(stream, (error) => (error ? reject(error) : resolve(made)));
    timer = setTimeout(() => {
      reject(
        new QmpLost(
          `the QMP monitor gave no greeting within ${seconds(options.timeoutMs)}; it serves one client at a time and is busy`,
        ),
      );
      made.close();
    }, options.timeoutMs);
  }).finally(() => clearTimeout(timer));
  try {
    await client.execute('qmp_capabilities', undefined, options.timeoutMs);
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

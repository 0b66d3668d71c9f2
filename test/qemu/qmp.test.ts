import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectQmp, type QmpClient, QmpError, type QmpEvent, QmpLost } from '../../src/qemu/qmp.ts';

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}\r\n';

interface Request {
  execute: string;
  arguments?: unknown;
  id: number;
}

/** The far end of a stream, playing QEMU: `answer` gives the bytes to send for each request. */
function playQemu(far: Duplex, answer: (request: Request) => string | Buffer | undefined, greeting = GREETING): void {
  far.setEncoding('utf8');
  let text = '';
  far.on('data', (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const request = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      const bytes = request.execute === 'qmp_capabilities' ? returns(request, {}) : answer(request);
      if (bytes !== undefined) far.write(bytes);
    }
  });
  far.write(greeting);
}

function returns(request: Request, value: unknown): string {
  return `${JSON.stringify({ return: value, id: request.id })}\r\n`;
}

async function connected(
  answer: (request: Request) => string | Buffer | undefined,
): Promise<{ client: QmpClient; far: Duplex }> {
  const [near, far] = duplexPair();
  playQemu(far, answer);
  return { client: await connectQmp(near, { timeoutMs: 10_000 }), far };
}

describe('connectQmp', () => {
  it('says that a monitor which gives no greeting is busy', async () => {
    const [near] = duplexPair();
    await expect(connectQmp(near, { timeoutMs: 30 })).rejects.toThrow(
      'the QMP monitor gave no greeting within 0.03 s; it serves one client at a time and is busy',
    );
    expect(near.destroyed).toBe(true);
  });

  it.each(['+OK POP3 ready\r\n', '{"hello": 1}\n', '[]\n', '"QMP"\n'])(
    'refuses %j for a greeting',
    async (greeting) => {
      const [near, far] = duplexPair();
      far.write(greeting);
      await expect(connectQmp(near, { timeoutMs: 10_000 })).rejects.toThrow(/^what answers is no QMP monitor: /);
    },
  );

  it('fails at once when the stream ends before the greeting', async () => {
    const [near, far] = duplexPair();
    far.end();
    await expect(connectQmp(near, { timeoutMs: 10_000 })).rejects.toThrow('QEMU closed its QMP monitor');
  });

  it('says why a socket cannot be reached', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ezvm-qmp-'));
    try {
      const failed = connectQmp(createConnection(join(dir, 'none.sock')), { timeoutMs: 10_000 });
      await expect(failed).rejects.toThrow(/^the QMP monitor failed: connect ENOENT/);
      await expect(failed).rejects.toBeInstanceOf(QmpLost);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('fails when QEMU dies between its greeting and the first answer', async () => {
    const [near, far] = duplexPair();
    far.on('data', () => near.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })));
    far.write(GREETING);
    await expect(connectQmp(near, { timeoutMs: 10_000 })).rejects.toThrow(
      'QEMU closed its QMP monitor before it answered qmp_capabilities',
    );
  });

  it('fails when the capabilities are never answered', async () => {
    const [near, far] = duplexPair();
    far.resume();
    far.write(GREETING);
    await expect(connectQmp(near, { timeoutMs: 30 })).rejects.toThrow('did not answer qmp_capabilities within 0.03 s');
    expect(near.destroyed).toBe(true);
  });
});

describe('execute', () => {
  it('matches answers to requests by id, whatever their order', async () => {
    const held: Request[] = [];
    const { client } = await connected((request) => {
      held.push(request);
      if (held.length < 3) return undefined;
      return held
        .toReversed()
        .map((one) => returns(one, `for ${one.execute}`))
        .join('');
    });
    expect(await Promise.all(['a', 'b', 'c'].map((command) => client.execute(command)))).toEqual([
      'for a',
      'for b',
      'for c',
    ]);
    client.close();
  });

  it('sends arguments, and leaves them out when there are none', async () => {
    const { client } = await connected((request) => returns(request, request));
    expect(await client.execute('device_del', { id: 'net0' })).toMatchObject({ arguments: { id: 'net0' } });
    expect(await client.execute('query-status')).not.toHaveProperty('arguments');
    client.close();
  });

  it("turns QEMU's refusal into a QmpError and goes on", async () => {
    const { client } = await connected((request) =>
      request.execute === 'bad'
        ? `{"id": ${request.id}, "error": {"class": "CommandNotFound", "desc": "The command bad has not been found"}}\r\n`
        : returns(request, 'fine'),
    );
    const refusal = await client.execute('bad').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(QmpError);
    expect(refusal).toMatchObject({
      class: 'CommandNotFound',
      desc: 'The command bad has not been found',
      command: 'bad',
      message: 'QEMU refused bad: The command bad has not been found',
    });
    expect(await client.execute('good')).toBe('fine');
    client.close();
  });

  it('takes an error without an id for the oldest request', async () => {
    const { client } = await connected(() => '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\r\n');
    await expect(client.execute('query-status')).rejects.toThrow('QEMU refused query-status: JSON parse error');
    client.close();
  });

  it('gives up after its time, and ignores the late answer', async () => {
    let late: Request | undefined;
    const { client, far } = await connected((request) => {
      if (request.execute !== 'slow') return returns(request, 'quick');
      late = request;
      return undefined;
    });
    await expect(client.execute('slow', undefined, 20)).rejects.toThrow('QEMU did not answer slow within 0.02 s');
    if (late) far.write(returns(late, 'late'));
    expect(await client.execute('other')).toBe('quick');
    client.close();
  });

  it.each(['end', 'reset', 'other'])('rejects every pending request when the stream goes (%s)', async (how) => {
    const [near, far] = duplexPair();
    playQemu(far, () => undefined);
    const client = await connectQmp(near, { timeoutMs: 10_000 });
    const pending = ['a', 'b'].map((command) => client.execute(command).catch((error: unknown) => error));
    if (how === 'end') far.end();
    else if (how === 'reset') near.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    else near.destroy(new Error('cable pulled'));
    const reason = how === 'other' ? 'the QMP monitor failed: cable pulled' : 'QEMU closed its QMP monitor';
    for (const [n, error] of (await Promise.all(pending)).entries()) {
      expect(error).toBeInstanceOf(QmpLost);
      expect(error).toMatchObject({
        message: `${reason} before it answered ${'ab'[n]}`,
        ended: how !== 'other',
      });
    }
    await client.closed;
    await expect(client.execute('c')).rejects.toThrow(`${reason}; c was not sent`);
  });

  it('stops at close, and closing twice does no harm', async () => {
    const { client } = await connected(() => undefined);
    const pending = client.execute('query-status');
    client.close();
    client.close();
    await expect(pending).rejects.toThrow(
      'the connection to the QMP monitor was closed before it answered query-status',
    );
    await client.closed;
  });

  it('ends the connection at a line that is no JSON', async () => {
    const { client } = await connected(() => '}{\r\n');
    await expect(client.execute('query-status')).rejects.toThrow('what answers is no QMP monitor: "}{\\r"');
  });
});

describe('events', () => {
  it('reach every listener until it leaves, between answers', async () => {
    const { client } = await connected(
      (request) =>
        `{"timestamp": {"seconds": 17, "microseconds": 5}, "event": "STOP"}\r\n${returns(request, 1)}{"event": "RESUME", "data": {"by": "me"}}\r\n`,
    );
    const heard: QmpEvent[] = [];
    const leave = client.onEvent((event) => heard.push(event));
    await client.execute('stop');
    await client.execute('cont');
    leave();
    await client.execute('stop');
    expect(heard.slice(0, 3)).toEqual([
      { event: 'STOP', data: {}, seconds: 17 },
      { event: 'RESUME', data: { by: 'me' }, seconds: 0 },
      { event: 'STOP', data: {}, seconds: 17 },
    ]);
    expect(heard.length).toBeLessThanOrEqual(4);
    client.close();
  });
});

describe('framing', () => {
  it('does not depend on how the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue(), { minLength: 1, maxLength: 5 }),
        fc.array(fc.string({ unit: 'binary' }), { maxLength: 4 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        async (answers, eventWords, cuts) => {
          const [near, far] = duplexPair();
          const send = (text: string): void => {
            const bytes = Buffer.from(text);
            for (let at = 0; at < bytes.length; ) {
              const size = Math.min(cuts.next().value, bytes.length - at);
              far.write(bytes.subarray(at, at + size));
              at += size;
            }
          };
          far.once('data', () => send('{"return": {}, "id": 1}\r\n'));
          send(GREETING);
          const client = await connectQmp(near, { timeoutMs: 10_000 });
          far.resume();
          const heard: unknown[] = [];
          client.onEvent((event) => heard.push(event.data['word']));
          const asked = answers.map(() => client.execute('x'));
          send(
            [
              ...eventWords.map((word) => `${JSON.stringify({ event: 'X', data: { word } })}\r\n`),
              ...answers.map((answer, n) => `${JSON.stringify({ return: answer, id: n + 2 })}\n`),
            ].join(''),
          );
          const normal = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
          expect(await Promise.all(asked)).toEqual(normal(answers));
          expect(heard).toEqual(normal(eventWords));
          client.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('works over a real socket, one client at a time', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ezvm-qmp-'));
    const path = join(dir, 'qmp.sock');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      playQemu(socket, (request) => returns(request, { asked: request.execute }));
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      const client = await connectQmp(createConnection(path), { timeoutMs: 10_000 });
      expect(await client.execute('query-status')).toEqual({ asked: 'query-status' });
      client.close();
      await client.closed;
    } finally {
      server.close();
      rmSync(dir, { recursive: true });
    }
  });
});

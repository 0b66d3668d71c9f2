import { linkSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isListening } from '../../src/admin/endpoint.ts';
import { checkPort } from '../../src/launch/port.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-s-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('isListening', () => {
  it('sees a listening socket without connecting to it', async () => {
    const path = join(dir, 'a b.sock');
    expect(isListening(path)).toBe(false);
    let connections = 0;
    const server = createServer(() => connections++);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(isListening(path)).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(connections).toBe(0);
    expect(isListening(join(dir, 'b.sock'))).toBe(false);
    await new Promise((resolve) => server.close(resolve));
    expect(isListening(path)).toBe(false);
  });

  it('does not take a connection that is left for its listener', async () => {
    const path = join(dir, 'x.sock');
    const server = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const accepted = new Promise((resolve) => server.once('connection', resolve));
    const client = connect(path);
    await accepted;
    linkSync(path, join(dir, 'kept'));
    server.close();
    renameSync(join(dir, 'kept'), path);
    expect(readFileSync('/proc/net/unix', 'utf8')).toContain(` ${path}\n`);
    expect(isListening(path)).toBe(false);
    client.destroy();
  });

  it('is not taken in by a file, or by what a dead program left', async () => {
    const path = join(dir, 'x.sock');
    writeFileSync(path, '');
    expect(isListening(path)).toBe(false);
    rmSync(path);
    const { spawnSync } = await import('node:child_process');
    const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', program]);
    expect(isListening(path)).toBe(false);
  });
});

describe('checkPort', () => {
  it('leaves a free port free, and tells a taken one, in TCP and UDP', async () => {
    const { createSocket } = await import('node:dgram');
    const tcp = createServer();
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    const { port } = tcp.address() as { port: number };
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));

    for (const host of ['127.0.0.1', '']) {
      const taken = await checkPort({ kind: 'port', host, port, protocol: 'tcp' });
      expect(taken).toMatchObject({
        code: 'port-taken',
        message: expect.stringContaining(`${host || '0.0.0.0'}:${port}`),
      });
    }
    const { port: udpPort } = udp.address();
    const taken = await checkPort({ kind: 'port', host: '127.0.0.1', port: udpPort, protocol: 'udp' });
    expect(taken).toMatchObject({ code: 'port-taken', help: expect.stringContaining('ss -ulnp') });

    tcp.close();
    udp.close();
    for (const protocol of ['tcp', 'udp'] as const)
      expect(
        await checkPort({ kind: 'port', host: '127.0.0.1', port: protocol === 'tcp' ? port : udpPort, protocol }),
      ).toBeUndefined();
  });

  it('tells an address of another machine', async () => {
    const other = await checkPort({ kind: 'port', host: '192.0.2.1', port: 5900, protocol: 'tcp' });
    expect(other?.message).toBe('tcp port 192.0.2.1:5900 cannot be used: 192.0.2.1 is not an address of this machine');
  });
});

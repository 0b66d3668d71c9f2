import { once } from 'node:events';
import { createServer } from 'node:net';

/** Those that the kernel gives to whoever asks for any begin at 32768, and may be taken at any moment. */
const FIRST = 10_000;
const COUNT = 22_000;
/** How far apart the workers of vitest begin to look. */
const SHARE = 2500;

let next = (Number(process.env['VITEST_POOL_ID'] ?? 1) - 1) * SHARE;

/** Ports of this machine that nothing listens on, each another, and none that another worker would be given. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + (next++ % COUNT);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '0.0.0.0');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

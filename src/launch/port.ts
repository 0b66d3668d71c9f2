import type { Diagnostic } from '../core/diagnostic.ts';
import type { RequirementOf } from '../plan/plan.ts';
import { reasonOf } from './host-fault.ts';

type PortRequirement = RequirementOf<'port'>;

/** Whether an address can be listened on, found out by doing so for a moment; undefined when it can. */
export async function checkPort(requirement: PortRequirement): Promise<Diagnostic | undefined> {
  const { port, protocol, origin } = requirement;
  const host = requirement.host || '0.0.0.0';
  const error = await (protocol === 'tcp' ? listenTcp(host, port) : bindUdp(host, port));
  if (!error) return undefined;
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const { code } = error;
  if (code === 'EADDRINUSE')
    return {
      severity: 'error',
      code: 'port-taken',
      message: `${protocol} port ${address} is taken by another program`,
      help: `choose another port, or see who has it: ss -${protocol === 'tcp' ? 't' : 'u'}lnp 'sport = :${port}'`,
      origin,
    };
  const reason =
    code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
      ? `${host} is not an address of this machine`
      : code === 'EACCES'
        ? 'ports below 1024 are kept for root'
        : reasonOf(error);
  return {
    severity: 'error',
    code: 'port-refused',
    message: `${protocol} port ${address} cannot be used: ${reason}`,
    help: 'choose another address or port',
    origin,
  };
}

async function listenTcp(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const { createServer } = await import('node:net');
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

async function bindUdp(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    socket.once('error', (error) => {
      socket.close();
      resolve(error);
    });
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
  });
}

/** Whether something accepts a connection at a TCP address. */
export async function canConnect(host: string, port: number): Promise<boolean> {
  const { connect } = await import('node:net');
  const socket = connect({ host, port });
  return new Promise((resolve) => {
    const answer = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.setTimeout(1000, () => answer(false));
  });
}

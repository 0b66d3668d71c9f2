import type { WrappedString } from '../../catalog/params.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';
import { reconnection } from './reconnect.ts';

/** Needs code because forwards are words of the program's own syntax, and QEMUs differ in how they connect again. */
export function resolvePasst(device: PlannedDevice, context: PlanContext): Resolved {
  const { facts, require } = context;
  const forwards = (param<readonly WrappedString[]>(device, 'forward') ?? []).flatMap(({ str }) => {
    const [, protocol, host = '', from = '', to = ''] = /^(tcp|udp):([^:]*):(\d+)-:(\d+)$/.exec(str) ?? [];
    const origin = device.params['forward']?.origin ?? device.origin;
    require({ kind: 'port', host, port: Number(from), protocol: protocol === 'udp' ? 'udp' : 'tcp', origin });
    return [protocol === 'udp' ? '--udp-ports' : '--tcp-ports', `${host}/${from}:${to}`];
  });
  const { seconds, milliseconds } = reconnection(context);
  return {
    values: {
      // Without a word for it, root's passt becomes nobody, who may not make the socket.
      words: ['--foreground', '--one-off', ...(facts.user.uid === 0 ? ['--runas', '0'] : []), ...forwards],
      reconnects: (seconds ?? milliseconds) !== null,
      seconds,
      milliseconds,
    },
  };
}

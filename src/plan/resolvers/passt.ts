import type { WrappedString } from '../../catalog/params.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { reconnection } from './reconnect.ts';

/** Needs code because forwards are words of the program's own syntax, and QEMUs differ in how they connect again. */
export function resolvePasst(device: PlannedDevice, context: PlanContext): Resolved {
  const { require } = context;
  const forwards = (param<readonly WrappedString[]>(device, 'forward') ?? []).flatMap(({ str }) => {
    const [, protocol, host = '', from = '', to = ''] = /^(tcp|udp):([^:]*):(\d+)-:(\d+)$/.exec(str) ?? [];
    const origin = saidAt(device, 'forward');
    require({ kind: 'port', host, port: Number(from), protocol: protocol === 'udp' ? 'udp' : 'tcp', origin });
    return [protocol === 'udp' ? '--udp-ports' : '--tcp-ports', `${host}/${from}:${to}`];
  });
  const { seconds, milliseconds } = reconnection(context);
  return {
    values: {
      words: ['--foreground', '--one-off', ...(staysRoot(context) ? ['--runas', '0'] : []), ...forwards],
      reconnects: (seconds ?? milliseconds) !== null,
      seconds,
      milliseconds,
    },
  };
}

/** Root's passt becomes nobody; one older than 2024 does so before it makes its socket where nobody may not. */
function staysRoot({ facts }: PlanContext): boolean {
  return facts.user.uid === 0 && facts.passt?.options.includes('--map-host-loopback') === false;
}

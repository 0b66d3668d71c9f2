import type { WrappedString } from '../../catalog/params.ts';
import { compareVersions } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because forwards are words of the program's own syntax, and QEMUs differ in how they connect again. */
export function resolvePasst(device: PlannedDevice, { facts, version, require }: PlanContext): Resolved {
  const forwards = (param<readonly WrappedString[]>(device, 'forward') ?? []).flatMap(({ str }) => {
    const [, protocol, host = '', from = '', to = ''] = /^(tcp|udp):([^:]*):(\d+)-:(\d+)$/.exec(str) ?? [];
    const origin = device.params['forward']?.origin ?? device.origin;
    require({ kind: 'port', host, port: Number(from), protocol: protocol === 'udp' ? 'udp' : 'tcp', origin });
    return [protocol === 'udp' ? '--udp-ports' : '--tcp-ports', `${host}/${from}:${to}`];
  });
  const since = (major: number, minor: number): boolean => compareVersions(version, { major, minor, micro: 0 }) >= 0;
  return {
    values: {
      // Without a word for it, root's passt becomes nobody, who may not make the socket.
      words: ['--foreground', '--one-off', ...(facts.user.uid === 0 ? ['--runas', '0'] : []), ...forwards],
      reconnects: since(8, 0),
      seconds: since(8, 0) && !since(9, 2) ? 1 : null,
      milliseconds: since(9, 2) ? 1000 : null,
    },
  };
}

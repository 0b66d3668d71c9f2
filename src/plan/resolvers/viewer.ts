import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because where the picture comes from is a matter of the SPICE server, which is another section's. */
export function resolveViewer(_device: PlannedDevice, { devices, runDir }: PlanContext): Resolved {
  const server = devices.find(({ section }) => section === 'spice');
  if (server?.template.type === 'tcp') {
    const host = param<string>(server, 'addr') ?? '127.0.0.1';
    const port = param<number>(server, 'port') ?? 0;
    const uri = `spice://${host.includes(':') ? `[${host}]` : host}:${port}`;
    return { values: { socket: null, host, port, uri, 'client-host': host, 'client-port': port } };
  }
  const socket = (server && param<string>(server, 'path')) ?? `${runDir}/spice.sock`;
  const uri = `spice+unix://${socket}`;
  return { values: { socket, host: null, port: null, uri, 'client-host': socket, 'client-port': 0 } };
}

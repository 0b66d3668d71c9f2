import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because where the picture comes from is a matter of the SPICE or VNC server, which is another section's. */
export function resolveViewer(device: PlannedDevice, { devices, runDir, note, refuse }: PlanContext): Resolved {
  const hasChannel = devices.some(({ section, template }) => section === 'usb' && template.type === 'redirection');
  if (param<boolean>(device, 'redirect-usb') && !hasChannel)
    note({
      severity: 'warning',
      code: 'usb-redirection-missing',
      message: `${device.id}.redirect-usb has no effect: the guest has no channel for USB devices of a viewer`,
      help: 'add one for each device: `usb: [tablet, redirection]`',
      origin: device.params['redirect-usb']?.origin,
    });
  const protocol = device.template.type === 'vnc' ? 'vnc' : 'spice';
  const server = devices.find(({ section }) => section === protocol);
  if (server?.template.type === 'network')
    refuse({
      code: 'combination-refused',
      message: `${device.id} shows the screen here, and ${protocol} is for viewers on other machines`,
      help: 'write `display: none`, or `display: gtk` for a window of QEMU’s own',
      origin: device.origin,
    });
  if (server?.template.type === 'tcp') {
    const host = clientHost(param<string>(server, 'addr') ?? '127.0.0.1');
    const number = param<number>(server, 'number');
    const port = number === null ? (param<number>(server, 'port') ?? 0) : 5900 + number;
    const place = host.includes(':') ? `[${host}]` : host;
    const uri = `${protocol}://${place}:${port}`;
    return {
      values: { socket: null, host, port, uri, target: `${place}::${port}`, 'client-host': host, 'client-port': port },
    };
  }
  const socket = (server && param<string>(server, 'path')) ?? `${runDir}/${protocol}.sock`;
  // remote-viewer 11 knows sockets of SPICE servers only.
  const uri = protocol === 'spice' ? `spice+unix://${socket}` : null;
  return { values: { socket, host: null, port: null, uri, target: socket, 'client-host': socket, 'client-port': 0 } };
}

/** Where a client of this machine finds a server that listens on an address, which may be that of every interface. */
export function clientHost(addr: string): string {
  if (addr === '' || addr === '0.0.0.0') return '127.0.0.1';
  return addr === '::' ? '::1' : addr;
}

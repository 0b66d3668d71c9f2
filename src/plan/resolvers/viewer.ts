import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { passwordsOf } from '../passwords.ts';
import type { Login } from '../plan.ts';

/** Needs code because where the picture comes from is a matter of the SPICE or VNC server, which is another section's. */
export function resolveViewer(device: PlannedDevice, { devices, runDir, note, refuse }: PlanContext): Resolved {
  const hasChannel = devices.some(({ section, template }) => section === 'usb' && template.type === 'redirection');
  if (param<boolean>(device, 'redirect-usb') && !hasChannel)
    note({
      severity: 'warning',
      code: 'usb-redirection-missing',
      message: `${device.id}.redirect-usb has no effect: the guest has no channel for USB devices of a viewer`,
      help: 'add one for each device: `usb: [tablet, redirection]`',
      origin: saidAt(device, 'redirect-usb'),
    });
  const protocol = device.template.type === 'vnc' ? 'vnc' : 'spice';
  const server = devices.find(({ section }) => section === protocol);
  const [password] = server ? passwordsOf([server]) : [];
  if (password && device.template.type === 'looking-glass')
    refuse({
      code: 'combination-refused',
      message: `the Looking Glass client knows no password, and \`spice.type: ${server?.template.type}\` asks for one`,
      help: 'write `spice: unix`, which only you can open',
      origin: device.origin,
    });
  if (server && server.template.type !== 'unix') {
    const host = clientHost(param<string>(server, 'addr') ?? '127.0.0.1');
    const number = param<number>(server, 'number');
    const port = number === null ? (param<number>(server, 'port') ?? 0) : 5900 + number;
    const place = host.includes(':') ? `[${host}]` : host;
    const tls = param<string>(server, 'tls');
    const ca = tls === null ? null : `${tls}/ca-cert.pem`;
    const address = { type: protocol, host, [ca === null ? 'port' : 'tls-port']: String(port) };
    const vv = { path: `${runDir}/viewer.vv`, entries: address, ...(ca !== null && { ca }) };
    const passwd = { path: `${runDir}/viewer.passwd` };
    const logins = password ? [vv, passwd].map((one): Login => ({ ...one, password })) : [];
    // The library that remote-viewer shows VNC with takes an authority from a file of its own only.
    const isStrange = protocol === 'vnc' && ca !== null;
    const uri = isStrange ? null : password ? vv.path : `${protocol}://${place}:${port}`;
    const vncviewer = [
      ...(ca === null ? [] : [`-X509CA=${ca}`]),
      ...(password ? ['-passwd', passwd.path] : []),
      `${place}::${port}`,
    ];
    const spicy = password ? null : `--uri=${uri}`;
    const values = { socket: null, host, port, 'client-host': host, 'client-port': port };
    return { values: { ...values, uri, spicy, vncviewer }, logins };
  }
  const socket = (server && param<string>(server, 'path')) ?? `${runDir}/${protocol}.sock`;
  // remote-viewer 11 knows sockets of SPICE servers only.
  const uri = protocol === 'spice' ? `spice+unix://${socket}` : null;
  const values = { socket, host: null, port: null, 'client-host': socket, 'client-port': 0 };
  return { values: { ...values, uri, spicy: `--uri=${uri}`, vncviewer: [socket] } };
}

/** Where a client of this machine finds a server that listens on an address, which may be that of every interface. */
export function clientHost(addr: string): string {
  if (addr === '' || addr === '0.0.0.0') return '127.0.0.1';
  return addr === '::' ? '::1' : addr;
}

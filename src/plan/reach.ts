import { isLinkKind } from '../catalog/params.ts';
import type { Origin } from '../core/origin.ts';
import type { DeviceSpec, VmSpec } from '../model/spec.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';
import type { Plan } from './plan.ts';

/** One way in which a VM reaches outside of itself. */
export interface Reach {
  readonly kind: 'device' | 'path' | 'network' | 'port' | 'script' | 'program' | 'argument' | 'screen' | 'state';
  readonly what: string;
  readonly origin?: Origin | undefined;
}

const KINDS: readonly Reach['kind'][] = [
  'argument',
  'script',
  'state',
  'device',
  'path',
  'port',
  'network',
  'screen',
  'program',
];

/**
 * Everything in a VM that reaches outside of it, for one who was given its file: devices, paths, networks, ports, scripts,
 * programs, and words of QEMU's own, which may do anything. What ezvm keeps for the VM itself is left out, but for what a
 * VM of its name has left before.
 * @param left the names of what is in the VM's state directory
 */
export function findReach(
  { qemu, sidecars, requirements, vm }: Plan,
  { devices, qemu: overrides }: Pick<VmSpec, 'devices' | 'qemu'>,
  left: readonly string[] = [],
): Reach[] {
  const links = devices.flatMap(linksOf);
  const own = [`${vm.runDir}/`, `${vm.stateDir}/`];
  const isOutside = (path: string): boolean => !own.some((dir) => path.startsWith(dir));
  const found: Reach[] = [
    ...overrides.args.map(({ word, origin }): Reach => ({ kind: 'argument', what: word, origin })),
    ...overrides.set.map(({ target, props, origin }): Reach => {
      return { kind: 'argument', what: `${target} ${JSON.stringify(props)}`, origin };
    }),
    ...(left.length > 0 ? [stateReach(vm, left)] : []),
    ...links,
    ...qemu.options
      .filter(({ name, args }) => !(name === 'netdev' && links.some(({ id }) => id === idOf(args))))
      .flatMap((option) => reachOf(option)),
    ...qemu.options.flatMap(({ args, origin }) =>
      pathsIn(args)
        .filter(isOutside)
        .map((path) => pathReach(path, origin)),
    ),
    ...requirements.flatMap((one): Reach[] => {
      if (one.kind === 'path' && isOutside(one.path)) return [pathReach(one.path, one.origin)];
      if (one.kind !== 'port') return [];
      const host = one.host === '' ? 'every address' : one.host;
      return [{ kind: 'port', what: `${one.protocol} ${one.port} on ${host}`, origin: one.origin }];
    }),
    ...sidecars.map(
      ({ name, argv, origin }): Reach => ({ kind: 'program', what: `${name}: ${argv.join(' ')}`, origin }),
    ),
  ];
  const telling = found.filter(({ kind, origin }) => !(isOurs(origin) && (kind === 'path' || kind === 'device')));
  const unique = new Map(telling.map((one) => [`${one.kind} ${one.what}`, one]));
  return [...unique.values()]
    .map(({ kind, what, origin }) => ({ kind, what, origin }))
    .toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/** Two VMs of one name have one state: their TPM and UEFI variables, which may hold keys. */
function stateReach({ name, stateDir }: Plan['vm'], left: readonly string[]): Reach {
  return { kind: 'state', what: `what a VM called ${name} has left in ${stateDir}: ${left.join(', ')}` };
}

/** The host's network interface that a device names. */
function linksOf({ id, template, params }: DeviceSpec): (Reach & { readonly id: string })[] {
  return Object.entries(template.params).flatMap(([name, { expect }]) => {
    const given = params[name];
    if (expect === undefined || !isLinkKind(expect) || typeof given?.value !== 'string') return [];
    const what = `${id} (${template.type}) is on the network of ${expect} ${given.value}`;
    return [{ kind: 'network', what, origin: given.origin, id }];
  });
}

/** Of firmware and the like, which ezvm and its templates choose. */
function isOurs(origin: Origin | undefined): boolean {
  return origin === undefined || origin.file.startsWith('templates/');
}

function pathReach(path: string, origin: Origin | undefined): Reach {
  return { kind: path.startsWith('/dev/') || path.startsWith('/sys/') ? 'device' : 'path', what: path, origin };
}

/** What an option reaches that is no path. */
function reachOf({ name, args, origin }: QemuOption): Reach[] {
  if (typeof args !== 'object') return [];
  const say = (kind: Reach['kind'], what: string): Reach[] => [{ kind, what, origin }];
  const id = idOf(args);
  const type = String(args['type'] ?? args['driver'] ?? args['qom-type'] ?? '');
  if (name === 'netdev') {
    const scripts = [args['script'], args['downscript']].filter((one) => typeof one === 'string' && one !== 'no');
    const restricted = type === 'user' && args['restrict'] === true;
    return [
      ...scripts.flatMap((script) => say('script', String(script))),
      ...(restricted ? [] : say('network', `${id} (${type}) ${networkOf(type, args)}`)),
    ];
  }
  const vmdks = name === 'blockdev' ? vmdksIn(args) : [];
  if (vmdks.length > 0) return vmdks.flatMap((path) => say('path', `any files that the VMDK ${path} calls its parts`));
  const server = args['server'];
  if (name === 'blockdev' && typeof server === 'object' && 'host' in server)
    return say('network', `disk ${args['node-name']} is on the server ${server['host']}, port ${server['port']}`);
  if (name === 'blockdev' && type === 'iscsi')
    return say('network', `disk ${args['node-name']} is on the server ${args['portal']}`);
  if (name === 'device' && type === 'vfio-pci') return say('device', `PCI ${args['host']}`);
  if (name === 'device' && type === 'usb-host') return say('device', `USB ${usbOf(args)}`);
  if (name === 'display' && type === 'dbus' && args['addr'] !== undefined)
    return say('screen', `a bus at ${args['addr']}`);
  if (name === 'display' && !['none', 'egl-headless'].includes(type)) return say('screen', `a window (${type})`);
  if (name === 'audiodev' && type !== 'none') return say('screen', `sound, and the microphone (${type})`);
  return [];
}

function networkOf(type: string, { ifname, mcast, server, addr, local, remote }: QemuProps): string {
  if (type === 'user') return 'reaches the network and the services of this machine, as you do';
  if (mcast !== undefined) return `is on the cable ${mcast} of this machine`;
  if (local !== undefined) return `is at ${placeOf(local)}, and reaches ${placeOf(remote)}`;
  if (addr !== undefined) return server === true ? `waits for another at ${placeOf(addr)}` : `reaches ${placeOf(addr)}`;
  return ifname === undefined ? 'reaches others' : `is on the network of interface ${ifname}`;
}

/** One end of a cable, as QEMU has it. */
function placeOf(end: QemuValue | undefined): string {
  const { path, host, port } = end as QemuProps;
  return path === undefined ? `${host}, port ${port}` : String(path);
}

function idOf(args: QemuOption['args']): string {
  return typeof args === 'object' ? String(args['id'] ?? '') : '';
}

function usbOf(args: QemuProps): string {
  const told = ['vendorid', 'productid', 'hostbus', 'hostport'].filter((key) => args[key] !== undefined);
  return told.map((key) => `${key}=${args[key]}`).join(' ');
}

/** Absolute paths anywhere in an option; in a text of QEMU's also behind a sign such as `=` or `:`. */
/** VMDK images, however deep below others: such a one may consist of files anywhere. */
function vmdksIn(value: QemuValue | undefined): string[] {
  if (typeof value !== 'object' || Array.isArray(value)) return [];
  const props = value as QemuProps;
  const own = props['driver'] === 'vmdk' ? pathsIn(props['file'] ?? '') : [];
  return [...own, ...Object.values(props).flatMap(vmdksIn)];
}

function pathsIn(value: QemuValue | true): string[] {
  if (typeof value === 'string') return [...value.matchAll(/(?:^|[=:])(\/[^,]*)/g)].map((match) => match[1] ?? '');
  if (typeof value !== 'object') return [];
  return Object.values(value).flatMap((inner) => pathsIn(inner as QemuValue));
}

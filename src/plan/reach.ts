import type { Origin } from '../core/origin.ts';
import type { QemuOverrides } from '../model/spec.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';
import type { Plan } from './plan.ts';
import type { Descriptor } from './planned-qemu.ts';

/** One way in which a VM reaches outside of itself. */
export interface Reach {
  readonly kind: 'device' | 'path' | 'network' | 'port' | 'script' | 'program' | 'argument' | 'screen';
  readonly what: string;
  readonly origin?: Origin | undefined;
}

const KINDS: readonly Reach['kind'][] = [
  'argument',
  'script',
  'device',
  'path',
  'port',
  'network',
  'screen',
  'program',
];

/**
 * Everything in a VM that reaches outside of it, for one who was given its file: devices, paths, networks, ports, scripts,
 * programs, and words of QEMU's own, which may do anything. What ezvm keeps for the VM itself is left out.
 */
export function findReach({ qemu, sidecars, requirements, vm }: Plan, overrides: QemuOverrides): Reach[] {
  const own = [`${vm.runDir}/`, `${vm.stateDir}/`];
  const isOutside = (path: string): boolean => !own.some((dir) => path.startsWith(dir));
  const found: Reach[] = [
    ...overrides.args.map(({ word, origin }): Reach => ({ kind: 'argument', what: word, origin })),
    ...overrides.set.map(({ target, props, origin }): Reach => {
      return { kind: 'argument', what: `${target} ${JSON.stringify(props)}`, origin };
    }),
    ...qemu.options.flatMap((option) => reachOf(option, qemu.descriptors)),
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
  return [...unique.values()].toSorted((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
}

/** Of firmware and the like, which ezvm and its templates choose. */
function isOurs(origin: Origin | undefined): boolean {
  return origin === undefined || origin.file.startsWith('templates/');
}

function pathReach(path: string, origin: Origin | undefined): Reach {
  return { kind: path.startsWith('/dev/') || path.startsWith('/sys/') ? 'device' : 'path', what: path, origin };
}

/** What an option reaches that is no path. */
function reachOf({ name, args, origin }: QemuOption, descriptors: readonly Descriptor[]): Reach[] {
  if (typeof args !== 'object') return [];
  const say = (kind: Reach['kind'], what: string): Reach[] => [{ kind, what, origin }];
  const id = String(args['id'] ?? '');
  const type = String(args['type'] ?? args['driver'] ?? args['qom-type'] ?? '');
  if (name === 'netdev') {
    const scripts = [args['script'], args['downscript']].filter((one) => typeof one === 'string' && one !== 'no');
    const restricted = type === 'user' && args['restrict'] === true;
    return [
      ...scripts.flatMap((script) => say('script', String(script))),
      ...(restricted ? [] : say('network', `${id} (${type}) ${networkOf(type, args, descriptors)}`)),
    ];
  }
  const server = args['server'];
  if (name === 'blockdev' && typeof server === 'object' && 'host' in server)
    return say('network', `disk ${args['node-name']} is on the server ${server['host']}`);
  if (name === 'blockdev' && type === 'iscsi')
    return say('network', `disk ${args['node-name']} is on the server ${args['portal']}`);
  if (name === 'device' && type === 'vfio-pci') return say('device', `PCI ${args['host']}`);
  if (name === 'device' && type === 'usb-host') return say('device', `USB ${usbOf(args)}`);
  if (name === 'display' && !['none', 'egl-headless'].includes(type)) return say('screen', `a window (${type})`);
  if (name === 'audiodev' && type !== 'none') return say('screen', `sound, and the microphone (${type})`);
  return [];
}

function networkOf(type: string, { br, fd, ifname }: QemuProps, descriptors: readonly Descriptor[]): string {
  if (type === 'user') return 'reaches the network and the services of this machine, as you do';
  const tap = descriptors.find((one) => one.type === 'tap' && String(one.fd) === fd);
  if (type === 'bridge' || tap) return `is on the network of bridge ${br ?? tap?.path}`;
  if (type === 'tap' && fd !== undefined) return 'is on the network of a macvtap interface';
  return ifname === undefined ? 'reaches others' : `is on the network of interface ${ifname}`;
}

function usbOf(args: QemuProps): string {
  const told = ['vendorid', 'productid', 'hostbus', 'hostport'].filter((key) => args[key] !== undefined);
  return told.map((key) => `${key}=${args[key]}`).join(' ');
}

/** Absolute paths anywhere in an option; in a text of QEMU's also behind a sign such as `=` or `:`. */
function pathsIn(value: QemuValue | true): string[] {
  if (typeof value === 'string') return [...value.matchAll(/(?:^|[=:])(\/[^,]*)/g)].map((match) => match[1] ?? '');
  if (typeof value !== 'object') return [];
  return Object.values(value).flatMap((inner) => pathsIn(inner as QemuValue));
}

import { isLinkKind, suggestion } from '../catalog/params.ts';
import type { HostFacts } from '../host/facts.ts';
import { formatVersion, type QemuOption, type QemuProps } from '../qemu/option.ts';
import { targetOf } from './combine.ts';
import type { PlannedDevice } from './device.ts';
import { type Names, substituteText } from './expand.ts';
import type { Requirement, Step } from './plan.ts';

/** Files and devices that parameters name, as their templates say what must be there. */
export function pathRequirements(device: PlannedDevice, names: Names, steps: readonly Step[]): Requirement[] {
  // What is written to a snapshot goes elsewhere.
  const readOnly = ['read-only', 'snapshot'].some((name) => device.params[name]?.value === true);
  const named = device.template.paths.map(
    ({ path, expect, access = 'read', help }): Requirement => ({
      kind: 'path',
      path: String(substituteText(path, names, device)),
      access: readOnly ? 'read' : access,
      type: expect,
      ...(help !== undefined && { help: String(substituteText(help, names, device)) }),
      origin: device.origin,
    }),
  );
  const given = Object.entries(device.template.params).flatMap(([name, spec]): Requirement[] => {
    const given = device.params[name];
    if (spec.expect === undefined || isLinkKind(spec.expect) || typeof given?.value !== 'string') return [];
    return [
      {
        kind: 'path',
        path: given.value,
        access: readOnly ? 'read' : (spec.access ?? 'read'),
        type: spec.expect,
        ...(spec.holds !== undefined && { holds: spec.holds }),
        ...(spec.expect === 'tpm-state' ? { made: { bytes: 0, atOnce: false } } : madeBy(steps, given.value)),
        ...(spec.help !== undefined && { help: spec.help }),
        origin: given.origin,
      },
    ];
  });
  return [...given, ...named];
}

function madeBy(steps: readonly Step[], path: string): { made?: { bytes: number; atOnce: boolean } } {
  const step = steps.find((each) => each.do === 'create-image' && each.path === path);
  if (step?.do !== 'create-image') return {};
  return { made: { bytes: step.size ?? 0, atOnce: ['falloc', 'full'].includes(step.preallocation) } };
}

/** Addresses that the options make QEMU listen on. */
export function portRequirements(options: readonly QemuOption[]): Requirement[] {
  return options.flatMap(({ name, args, origin }): Requirement[] => {
    if (typeof args !== 'object') return [];
    const port = name === 'spice' ? (args['port'] ?? args['tls-port']) : undefined;
    if (typeof port === 'number')
      return [{ kind: 'port', host: String(args['addr'] ?? '127.0.0.1'), port, protocol: 'tcp', origin }];
    const vnc = name === 'vnc' ? /^\[?([^\]]+)\]?:(\d+)$/.exec(String(args['vnc'])) : null;
    if (vnc) return [{ kind: 'port', host: vnc[1] ?? '', port: 5900 + Number(vnc[2]), protocol: 'tcp', origin }];
    if (name !== 'netdev' || !Array.isArray(args['hostfwd'])) return [];
    return args['hostfwd'].flatMap((forward: { str: string }): Requirement[] => {
      const match = /^(tcp|udp):([^:]*):(\d+)-/.exec(forward.str);
      return match
        ? [{ kind: 'port', host: match[2] ?? '', port: Number(match[3]), protocol: match[1] as 'tcp' | 'udp', origin }]
        : [];
    });
  });
}

/** What displays need of the session they are shown in. */
export function sessionRequirements(options: readonly QemuOption[]): Requirement[] {
  return options.flatMap(({ name, args, origin }): Requirement[] => {
    const type = name === 'display' && typeof args === 'object' ? String(args['type']) : '';
    const wants = SESSION_WANTED[type];
    // A bus of one's own choosing is not the session's.
    if (wants === undefined || (typeof args === 'object' && wants === 'bus' && (args['addr'] ?? args['p2p'])))
      return [];
    return [{ kind: 'session', wants, by: `display ${type}`, origin }];
  });
}

const SESSION_WANTED: { readonly [display: string]: 'screen' | 'bus' | 'terminal' } = {
  gtk: 'screen',
  sdl: 'screen',
  'spice-app': 'screen',
  dbus: 'bus',
  curses: 'terminal',
};

/** QEMU refuses a card that draws with OpenGL on a display that does not. */
export function glRequirements(options: readonly QemuOption[]): Requirement[] {
  const draws = options.some(
    ({ name, args }) =>
      typeof args === 'object' &&
      ((['display', 'spice'].includes(name) && ![undefined, false, 'off'].includes(args['gl'] as string)) ||
        (name === 'display' && args['type'] === 'egl-headless')),
  );
  if (draws) return [];
  return options.flatMap(({ name, args, origin }): Requirement[] =>
    name === 'device' && typeof args === 'object' && /-gl(-pci)?$/.test(String(args['driver']))
      ? [
          {
            kind: 'unmet',
            code: 'gl-missing',
            message: `${args['driver']} draws with OpenGL, and no display does`,
            origin,
            help: 'write `display: { type: gtk, gl: on }` or `spice: { gl: on }`, or choose the card without -gl',
          },
        ]
      : [],
  );
}

/** Displays that draw with OpenGL and show nothing themselves. */
const OFF_SCREEN = ['egl-headless', 'spice-app', 'dbus'];

/** What draws off screen takes a GPU's render node; QEMU looks for one where none is named. */
export function renderRequirements(options: readonly QemuOption[], { renderNodes }: HostFacts): Requirement[] {
  if (renderNodes === undefined || renderNodes.length > 0) return [];
  return options.flatMap(({ name, args, origin }): Requirement[] => {
    if (typeof args !== 'object' || args['rendernode'] !== undefined) return [];
    const type = String(args['type'] ?? '');
    const isDrawn = args['gl'] === true || args['gl'] === 'on' || type === 'egl-headless';
    if (!isDrawn || !(name === 'spice' || (name === 'display' && OFF_SCREEN.includes(type)))) return [];
    return [
      {
        kind: 'unmet',
        code: 'render-node-missing',
        message: `${name === 'spice' ? 'SPICE with OpenGL' : `the display ${type}`} draws with a GPU of the host, and there is none in /dev/dri`,
        origin,
        help: 'load the driver of your graphics card; or leave out `gl`, choose another display, and a graphics card without -gl',
      },
    ];
  });
}

/** What the options name that this build of QEMU does not have. */
export function buildRequirements(options: readonly QemuOption[], facts: HostFacts): Requirement[] {
  const { qemu } = facts;
  if (!qemu) return [];
  const version = formatVersion(qemu.version);
  const lacks = (what: string, name: unknown, known: readonly string[], option: QemuOption): Requirement[] =>
    typeof name !== 'string' || known.length === 0 || known.includes(name)
      ? []
      : [
          {
            kind: 'unmet',
            code: 'qemu-lacks',
            message: `this QEMU (${version}) has no ${what} ${name}`,
            origin: option.origin,
            targets: [targetOf(option)],
            help:
              what === 'CPU model'
                ? (suggestion(name, known) ?? `list them with: ${qemu.binary} -cpu help`)
                : 'install the QEMU package that has it (often qemu-system-gui or a qemu-system-modules package), or choose another type',
          },
        ];
  return options.flatMap((option) => {
    const { name, args, origin } = option;
    if (typeof args !== 'object') return [];
    const props: QemuProps = args;
    switch (name) {
      case 'device':
        return lacks('device', props['driver'], qemu.devices, option);
      case 'object':
        return lacks('object', props['qom-type'], qemu.objects, option);
      case 'netdev':
        return lacks('network back-end', props['type'], qemu.netdevs, option);
      case 'audiodev':
        return lacks('sound back-end', props['driver'], qemu.audiodevs, option);
      case 'display':
        return lacks('display', props['type'], qemu.displays, option);
      case 'tpmdev':
        return lacks('TPM back-end', props['type'], qemu.tpmTypes, option);
      case 'cpu':
        return lacks('CPU model', props['model'], qemu.cpuModels, option);
      case 'spice':
        return qemu.spice
          ? []
          : [
              {
                kind: 'unmet',
                code: 'qemu-lacks',
                message: `this QEMU (${version}) was built without SPICE`,
                origin,
                targets: [targetOf(option)],
                help: 'install the package qemu-system-modules-spice, or choose another display',
              },
            ];
      default:
        return [];
    }
  });
}

import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import type { ParamValue } from '../../src/catalog/params.ts';
import type { ParamSpec } from '../../src/catalog/template.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import { covering } from '../covering.ts';
import { choicesOf, compatible, type DeviceType, type Values } from '../one-device.ts';
import { BUS_ADDRESS } from './desktop.ts';

/** What values may refer to. */
export interface Surroundings {
  /** A directory. */
  readonly place: string;
  /** A version of the board that QEMU has. */
  readonly version: string;
  /** A port that nothing else uses. */
  readonly port: () => number;
}

/** The newest version of the board, such as `7.2`. */
export function versionOf(facts: HostFacts): string {
  return /(\d+\.\d+)$/.exec(facts.qemu?.machines['q35'] ?? '')?.[1] ?? '';
}

/** An interface that leads somewhere. */
const WITH_NETWORK =
  Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some(({ internal }) => !internal))?.[0] ??
  'lo';

/** A value of this type that means something on this machine. */
function given(name: string, spec: ParamSpec, { place, version, port }: Surroundings): ParamValue {
  switch (spec.type) {
    case 'path':
      // swtpm takes no comma.
      if (name === 'state' || name === 'key') return join(place, `a ${name} "ö"`);
      return join(place, `a ${name === 'backing' ? name : (spec.expect ?? name)}, "ö"`);
    case 'word':
      return (
        {
          model: 'Nehalem',
          ifname: `ez${process.pid}-${basename(place)}`,
          addr: '127.0.0.1',
          interface: WITH_NETWORK,
          cpus: '0-1',
        }[name] ?? String(spec.example)
      );
    case 'string':
      if (name === 'version') return version;
      // The length of a real key.
      if (name === 'osk') return 'k'.repeat(64);
      return (
        {
          address: BUS_ADDRESS,
          hostport: '1.2',
          host: '127.0.0.1',
          'tls-hostname': 'localhost',
          portal: `127.0.0.1:${name === 'portal' ? port() : 0}`,
          user: 'alice',
          target: String(spec.example),
          'initiator-name': String(spec.example),
          label: 'LABEL',
          name: 'opt/it\'s, a="b"',
        }[name] ?? (spec.pattern === undefined ? `it's, a="b" ö` : String(spec.example))
      );
    case 'size':
      // A node has all the memory there is; what may be plugged in comes on top.
      return ({ memory: 64, max: 256 }[name] ?? 128) * 1024 * 1024;
    case 'port':
      return port();
    case 'int':
      if (name === 'mtu') return 1400;
      // A VNC display, whose port is 5900 more.
      return name === 'number' ? port() - 5900 : 2;
    case 'uuid':
      return '11111111-2222-4333-8444-555555555555';
    case 'list':
      if (name === 'flags') return ['+aes', '-svm'];
      if (name === 'hyperv') return ['relaxed'];
      if (name === 'distances') return [10];
      if (name === 'host-nodes') return [0];
      return spec.of === 'pci' ? ['0000:03:00.0', '0000:03:00.1'] : [{ str: `tcp:127.0.0.1:${port()}-:22` }];
    case 'wwn':
      return { u64: '0x5000c50015ea71aa' };
    case 'mac':
      return '52:54:00:12:34:56';
    default:
      return 2;
  }
}

/** A value for each parameter that has to be given. */
export function requiredOf({ template: { params } }: DeviceType, surroundings: Surroundings): Values {
  return Object.fromEntries(
    Object.entries(params)
      .filter(([name, spec]) => isRequired(name, spec))
      .map(([name, spec]) => [name, given(name, spec, surroundings)]),
  );
}

/**
 * A device of the host's is none here, whatever its default is, and QEMU would make a file of that name; a port is taken; the
 * iSCSI target has no disk as number 0.
 */
function isRequired(name: string, { type, required, default: fallback }: ParamSpec): boolean {
  if (name === 'lun') return true;
  if (required === true || (type === 'port' && fallback !== undefined)) return true;
  return type === 'path' && String(fallback).startsWith('/dev/');
}

/** Only boards of ARM have clusters. */
function isOfPcs({ needs }: ParamSpec): boolean {
  return needs?.['set']?.board !== 'clusters';
}

export interface Variation {
  readonly label: string;
  readonly values: (surroundings: Surroundings) => Values;
}

/** Each enumerated value by itself, everything else given at once; of disks, every two values together as well. */
export function variationsOf(device: DeviceType): Variation[] {
  const {
    name,
    template: { params },
  } = device;
  const specs = Object.entries(params);
  const fill = (wanted: (name: string, spec: ParamSpec) => boolean, more: Values) => (surroundings: Surroundings) => ({
    ...Object.fromEntries(
      specs.filter(([key, spec]) => wanted(key, spec)).map(([key, spec]) => [key, given(key, spec, surroundings)]),
    ),
    ...more,
  });
  const open = specs.filter(([, spec]) => !choicesOf(spec));
  const listed = specs.flatMap(([key, spec]) => choicesOf(spec)?.map((value) => [key, value] as const) ?? []);
  const rows =
    name === 'devices/disks/disk'
      ? covering(
          Object.fromEntries(specs.flatMap(([key, spec]) => (choicesOf(spec) ? [[key, choicesOf(spec) ?? []]] : []))),
          2,
        )
      : [];
  return [
    { label: 'as it comes', values: fill(isRequired, {}) },
    ...(open.some(([key, spec]) => !isRequired(key, spec))
      ? [
          {
            label: 'with all that can be given',
            values: (surroundings: Surroundings) =>
              compatible(device, fill((_, spec) => !choicesOf(spec) && isOfPcs(spec), {})(surroundings)),
          },
        ]
      : []),
    ...listed
      .filter(([key, value]) => params[key]?.default !== value)
      .map(([key, value]) => ({ label: `${key} ${value}`, values: fill(isRequired, { [key]: value }) })),
    ...rows.map((row) => ({
      label: Object.entries(row)
        .map(([key, value]) => `${key} ${value}`)
        .join(', '),
      values: (surroundings: Surroundings) =>
        // What several values together refuse is tried as it is; what was only added to them gives way.
        ({
          ...compatible(device, fill((_, spec) => !choicesOf(spec), row as Values)(surroundings)),
          ...(row as Values),
        }),
    })),
  ];
}

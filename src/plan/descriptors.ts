import type { Origin } from '../core/origin.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';
import type { Descriptor } from './planned-qemu.ts';

/** Below it are QEMU's own channels. The helper that opens for those who may not takes 10 to 200. */
const FIRST = 10;

/** What a device wants opened for it, to use under its bare number. */
export type WantedDescriptor = Omit<Descriptor, 'fd' | 'fdset'>;

/** Adds to `descriptors` what a device wants opened, and gives its number in QEMU. */
export function addDescriptor(descriptors: Descriptor[], wanted: WantedDescriptor): number {
  const fd = FIRST + descriptors.length;
  descriptors.push({ fd, fdset: false, ...wanted });
  return fd;
}

/**
 * Gives QEMU the host's block devices open, so that it needs no right to open any, and has those it writes for itself alone.
 * @param before what devices have asked for
 * @returns the options that say so, for the start alone: `ezvm args` shows the paths, which run by hand as well
 */
export function handOver(
  options: readonly QemuOption[],
  before: readonly Descriptor[],
): { options: QemuOption[]; descriptors: readonly Descriptor[] } {
  const descriptors: Descriptor[] = [...before];
  const rewritten = options.map((option) => {
    if (option.name !== 'blockdev' || typeof option.args !== 'object') return option;
    const inherited = { readOnly: false, direct: false, origin: option.origin };
    return { ...option, args: handOverNode(option.args, inherited, descriptors) };
  });
  const sets = descriptors
    .filter(({ fdset }) => fdset)
    .map(({ fd, path, origin }) => ({ name: 'add-fd', args: { fd, set: fd, opaque: path }, origin }));
  return { options: [...rewritten, ...sets], descriptors };
}

interface Inherited {
  readonly readOnly: boolean;
  readonly direct: boolean;
  readonly origin: Origin | undefined;
}

/** A node written inside another one inherits what it does not say itself. */
function handOverNode(node: QemuProps, outer: Inherited, descriptors: Descriptor[]): QemuProps {
  const cache = node['cache'];
  const own = {
    readOnly: (node['read-only'] ?? outer.readOnly) === true,
    direct: (isProps(cache) ? (cache['direct'] ?? outer.direct) : outer.direct) === true,
    origin: outer.origin,
  };
  const { filename } = node;
  if (node['driver'] === 'host_device' && typeof filename === 'string')
    return { ...node, filename: `/dev/fdset/${openBlock(filename, own, descriptors)}` };
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, isProps(value) ? handOverNode(value, own, descriptors) : value]),
  );
}

/** Several disks may read the same device. */
function openBlock(path: string, { readOnly, direct, origin }: Inherited, descriptors: Descriptor[]): number {
  const access = readOnly ? 'read' : 'write';
  const same = descriptors.find((one) => one.fdset && readOnly && one.path === path && one.direct === direct);
  if (same?.access === access) return same.fd;
  const fd = FIRST + descriptors.length;
  descriptors.push({ fd, path, type: 'block', access, direct, exclusive: !readOnly, fdset: true, origin });
  return fd;
}

function isProps(value: QemuValue | undefined): value is QemuProps {
  return typeof value === 'object' && !Array.isArray(value);
}

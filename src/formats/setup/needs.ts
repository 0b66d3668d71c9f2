import type { Plan } from '../../plan/plan.ts';
import type { QemuOption, QemuProps } from '../../qemu/option.ts';

/** What VMs want of a host that an ordinary user has no right to. */
export interface HostNeeds {
  /** Block devices, as the VMs name them. */
  readonly blocks: readonly string[];
  /** Addresses of PCI functions that are handed over, or may be. */
  readonly pci: readonly string[];
  /** Names of mediated devices that are handed over, as in `04d064c3-66a1-4aa7-9589-f8b3ecf91cd7`. */
  readonly mediated: readonly string[];
  /** Bytes that the largest guest with such a function locks in memory. */
  readonly locked: number;
  readonly taps: readonly { readonly name: string; readonly queues: boolean }[];
  readonly bridges: readonly string[];
  readonly usb: readonly { readonly vendor: number; readonly product: number }[];
  /** Files in memory that a guest shares with a viewer. */
  readonly sharedMemory: readonly string[];
  /** MiB of each device of the module kvmfr, by number. */
  readonly kvmfr: readonly number[];
  /** Keyboards and mice, as the VMs name them. */
  readonly inputs: readonly string[];
  readonly vhost: boolean;
}

/** What the VMs of these plans want together, each thing once and in order. */
export function gatherNeeds(plans: readonly Plan[]): HostNeeds {
  const options = plans.flatMap(({ qemu }) => qemu.options);
  const taps = propsOf(options, 'netdev').filter(({ type, script, fd }) => type === 'tap' && script === 'no' && !fd);
  return {
    blocks: sorted(
      plans.flatMap(({ qemu }) => qemu.descriptors.flatMap((one) => (one.type === 'block' ? one.path : []))),
    ),
    pci: sorted(plans.flatMap(pciOf)),
    mediated: sorted(plans.flatMap(mediatedOf)),
    locked: Math.max(0, ...plans.map(lockedBy)),
    taps: unique(
      taps.map(({ ifname, queues }) => ({ name: String(ifname), queues: typeof queues === 'number' && queues > 1 })),
    ),
    bridges: sorted([
      ...propsOf(options, 'netdev').flatMap(({ type, br }) => (type === 'bridge' ? String(br) : [])),
      ...plans.flatMap(({ qemu }) => qemu.descriptors.flatMap((one) => (one.type === 'tap' ? one.path : []))),
    ]),
    usb: unique(
      propsOf(options, 'device').flatMap(({ driver, vendorid: vendor, productid: product }) =>
        driver === 'usb-host' && typeof vendor === 'number' && typeof product === 'number' ? [{ vendor, product }] : [],
      ),
    ),
    sharedMemory: sorted(
      plans.flatMap(({ steps }) => steps.flatMap((step) => (step.do === 'memory-file' ? step.path : []))),
    ),
    kvmfr: kvmfrSizes(propsOf(options, 'object')),
    inputs: sorted(propsOf(options, 'object').flatMap(({ evdev }) => (typeof evdev === 'string' ? evdev : []))),
    vhost: propsOf(options, 'netdev').some(({ vhost }) => vhost === true),
  };
}

function pciOf({ qemu, requirements }: Plan): string[] {
  const handed = propsOf(qemu.options, 'device').flatMap(({ driver, host }) =>
    driver === 'vfio-pci' && typeof host === 'string' ? [host] : [],
  );
  return [...handed, ...requirements.flatMap((one) => (one.kind === 'vfio-choice' ? one.others.flat() : []))];
}

function mediatedOf({ requirements }: Plan): string[] {
  return requirements.flatMap((one) => {
    const name = one.kind === 'vfio' ? /^\/sys\/.*\/([^/]+)\/?$/.exec(one.device)?.[1] : undefined;
    return name === undefined ? [] : [name];
  });
}

/** Devices that no VM names have the least that the module takes. */
function kvmfrSizes(objects: readonly QemuProps[]): number[] {
  const sizes: number[] = [];
  for (const { 'mem-path': path, size } of objects) {
    const number = /^\/dev\/kvmfr(\d)$/.exec(String(path))?.[1];
    if (number === undefined) continue;
    while (sizes.length <= Number(number)) sizes.push(1);
    sizes[Number(number)] = Math.max(sizes[Number(number)] ?? 0, Number(size) / 1024 ** 2);
  }
  return sizes;
}

function lockedBy({ requirements }: Plan): number {
  return Math.max(0, ...requirements.map((one) => (one.kind === 'locked-memory' ? one.bytes : 0)));
}

function propsOf(options: readonly QemuOption[], wanted: string): QemuProps[] {
  return options.flatMap(({ name, args }) => (name === wanted && typeof args === 'object' ? [args] : []));
}

function sorted(words: readonly string[]): string[] {
  return [...new Set(words)].toSorted();
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

import type { Report } from '../core/diagnostic.ts';
import { formatSize, parseSize } from '../core/size.ts';
import { propsOf, type QemuOption, type QemuProps } from '../qemu/option.ts';
import { type PlannedDevice, param, saidAt } from './device.ts';
import type { Requirement, RequirementOf } from './plan.ts';

/** Memory back-ends that the machine or its nodes use, with their sizes. */
function backends(options: readonly QemuOption[]): (readonly [QemuOption, QemuProps])[] {
  return options.flatMap((option) => {
    const props = propsOf(option);
    const isBackend = option.name === 'object' && String(props['qom-type']).startsWith('memory-backend-');
    return isBackend ? [[option, props] as const] : [];
  });
}

/** Huge pages that must be free, by their size. */
export function hugePageRequirements(options: readonly QemuOption[]): Requirement[] {
  const bySize = new Map<number, RequirementOf<'huge-pages'>>();
  for (const [{ origin }, { hugetlbsize: page, size }] of backends(options))
    if (typeof page === 'number' && typeof size === 'number') {
      // Each back-end takes whole pages.
      const bytes = Math.ceil(size / page) * page + (bySize.get(page)?.bytes ?? 0);
      bySize.set(page, { kind: 'huge-pages', page, bytes, origin });
    }
  return [...bySize.values()];
}

/** The nodes' memory together has to be the VM's, and none is left over: QEMU refuses anything else. */
export function findNodeFaults(options: readonly QemuOption[], report: Report): void {
  const sizes = new Map(backends(options).map(([, { id, size }]) => [id, Number(size)]));
  const nodes = options.filter((option) => option.name === 'numa' && propsOf(option)['type'] === 'node');
  const memory = options.find(({ name }) => name === 'm');
  const wanted = memory && parseSize(String(propsOf(memory)['size']));
  const sum = nodes.reduce((total, node) => total + (sizes.get(propsOf(node)['memdev']) ?? 0), 0);
  if (nodes.length > 0 && wanted !== undefined && sum !== wanted)
    report({
      severity: 'error',
      code: 'combination-refused',
      message: `the nodes have ${formatSize(sum)} of memory together, and memory.size is ${formatSize(wanted)}`,
      origin: nodes[0]?.origin,
      help: 'make the two the same',
    });
}

/** Bytes of the smallest page that a host has, in which back-ends and plugged memory are counted. */
const PAGE = 4096;
/** To a multiple of this QEMU rounds what `-m` says, but no back-end, and refuses the difference (system/vl.c). */
const ROUNDED = 8192;

/** Sizes of memory that are no whole pages, where QEMU does not round them. */
export function findBrokenPages(
  options: readonly QemuOption[],
  devices: readonly PlannedDevice[],
  report: Report,
): void {
  // Templates call the back-ends so.
  const pages = new Map(backends(options).map(([, { id, hugetlbsize }]) => [id, Number(hugetlbsize ?? PAGE)]));
  const hasNodes = devices.some(({ section }) => section === 'numa');
  for (const device of devices) {
    const own = pages.get(device.section === 'memory' ? 'ram' : `${device.id}-memory`);
    const steps: { readonly [path: string]: number } = {
      'memory.size': own || hasNodes ? Math.max(ROUNDED, own ?? 0) : 1,
      'memory.max': PAGE,
      'numa.memory': own ?? PAGE,
    };
    for (const name of ['size', 'max', 'memory']) {
      const step = steps[`${device.section}.${name}`];
      const bytes = step === undefined ? null : param<number>(device, name);
      if (step === undefined || !bytes || bytes % step === 0) continue;
      const below = Math.floor(bytes / step) * step;
      const nearest = [below, below + step].filter((size) => size > 0).map(formatSize);
      report({
        severity: 'error',
        code: 'combination-refused',
        message: `${device.id}.${name} is ${formatSize(bytes)}; QEMU wants a multiple of ${formatSize(step)} here`,
        origin: saidAt(device, name),
        help: `the nearest are ${nearest.join(' and ')}`,
      });
    }
  }
}

/** Memory is plugged in into slots, up to a size beyond what is there: QEMU wants both, or neither. */
export function findPlugFaults(devices: readonly PlannedDevice[], report: Report): void {
  const device = devices.find(({ section }) => section === 'memory');
  if (!device) return;
  const [size, max, slots] = ['size', 'max', 'slots'].map((name) => param<number>(device, name));
  const fault = (name: string, message: string, help: string): void =>
    report({
      severity: 'error',
      code: 'combination-refused',
      message,
      origin: saidAt(device, name),
      help,
    });
  if (slots && !max) fault('slots', 'memory.slots is given without memory.max', 'say how much there may be in all');
  if (max && !slots) fault('max', 'memory.max is given without memory.slots', 'say how many pieces may be plugged in');
  if (max && size && max <= size)
    fault('max', `memory.max is ${formatSize(max)}, and ${formatSize(size)} are there from the start`, 'make it more');
}

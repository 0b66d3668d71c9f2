import type { Report } from '../core/diagnostic.ts';
import { propsOf, type QemuOption } from '../qemu/option.ts';
import type { Requirement } from './plan.ts';
import { findTwice } from './twice.ts';

/** What a guest's devices have in memory of their own, such as frame buffers and firmware; no host was seen to need more. */
const BEYOND_GUEST = 2 ** 30;

/** What handing over devices takes: each of them, and the right to lock the guest's memory, to which they write at any time. */
export function vfioRequirements(options: readonly QemuOption[], others: readonly Requirement[]): Requirement[] {
  const handed = options.flatMap((option) => {
    const device = isVfio(option) ? handedBy(option) : undefined;
    return device === undefined ? [] : [{ device, origin: option.origin }];
  });
  const [first] = handed;
  if (!first) return [];
  const together = handed.map(({ device }) => device);
  const guest = others.find((one) => one.kind === 'memory')?.bytes ?? 0;
  return [
    ...handed.map(({ device, origin }): Requirement => ({ kind: 'vfio', device, together, origin })),
    { kind: 'locked-memory', bytes: guest + BEYOND_GUEST, origin: first.origin },
  ];
}

/** Reports devices of the host that the VM is handed twice: the second could not be opened, or would take turns with the first. */
export function findHandedTwice(options: readonly QemuOption[], report: Report): void {
  findTwice(options, 'handed-twice', handedBy, (device) => `the VM is handed ${device} twice`, report);
}

/** What QEMU opens for itself alone: a PCI function, a mediated device, a keyboard, a USB socket. */
function handedBy(option: QemuOption): string | undefined {
  const props = propsOf(option);
  const { host, sysfsdev, evdev, hostbus, hostport, hostdevice } = props;
  if (isVfio(option)) return textOf(host ?? sysfsdev);
  if (props['qom-type'] === 'input-linux') return textOf(evdev);
  if (props['driver'] !== 'usb-host') return undefined;
  return hostbus !== undefined && hostport !== undefined ? `USB port ${hostbus}-${hostport}` : textOf(hostdevice);
}

function isVfio(option: QemuOption): boolean {
  return option.name === 'device' && /^vfio-pci(-nohotplug)?$/.test(String(propsOf(option)['driver']));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

import { formatOrigin } from '../core/origin.ts';
import type { QemuOption, QemuProps } from '../qemu/option.ts';
import type { Report } from './combine.ts';
import type { Requirement } from './plan.ts';

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
  const handed = new Map<string, QemuOption>();
  for (const option of options) {
    const device = handedBy(option);
    if (device === undefined) continue;
    const other = handed.get(device);
    if (other)
      report({
        severity: 'error',
        code: 'handed-twice',
        message: `the VM is handed ${device} twice`,
        origin: option.origin,
        help: other.origin && `the other is at ${formatOrigin(other.origin)}`,
      });
    handed.set(device, option);
  }
}

/** What QEMU opens for itself alone: a PCI function, a mediated device, a keyboard, a USB socket. */
function handedBy(option: QemuOption): string | undefined {
  const props: QemuProps = typeof option.args === 'object' ? option.args : {};
  const { host, sysfsdev, evdev, hostbus, hostport, hostdevice } = props;
  if (isVfio(option)) return textOf(host ?? sysfsdev);
  if (props['qom-type'] === 'input-linux') return textOf(evdev);
  if (props['driver'] !== 'usb-host') return undefined;
  return hostbus !== undefined && hostport !== undefined ? `USB port ${hostbus}-${hostport}` : textOf(hostdevice);
}

function isVfio({ name, args }: QemuOption): boolean {
  return name === 'device' && typeof args === 'object' && /^vfio-pci(-nohotplug)?$/.test(String(args['driver']));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

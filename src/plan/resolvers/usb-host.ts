import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because one of two pairs or a path has to be there: QEMU takes whatever is plugged in when nothing says which. */
export function resolveUsbHost(device: PlannedDevice, context: PlanContext): Resolved {
  const has = (...names: string[]): boolean => names.every((name) => param(device, name) !== null);
  if (!has('vendorid', 'productid') && !has('hostbus', 'hostport') && !has('hostdevice'))
    context.require({
      kind: 'unmet',
      code: 'usb-device-unclear',
      message: `${device.id}: nothing says which USB device of the host is meant, so QEMU would take any`,
      help: 'give vendorid and productid (see lsusb), hostbus and hostport (see `lsusb -t`), or hostdevice',
      origin: device.origin,
    });
  return {};
}

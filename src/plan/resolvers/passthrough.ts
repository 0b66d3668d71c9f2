import type { QemuOption } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because one device has as many functions as the user lists, each an option of its own. */
export function resolvePassthrough(device: PlannedDevice, context: PlanContext): Resolved {
  const functions = param<readonly string[]>(device, 'pci') ?? [];
  const vga = param<boolean>(device, 'x-vga');
  const rom = param<string>(device, 'romfile');
  const options = functions.map((host, index): QemuOption => {
    context.require({
      kind: 'path',
      path: `/sys/bus/pci/devices/${host}`,
      access: 'read',
      type: 'directory',
      help: 'see the addresses of your cards with `lspci -D`',
      origin: device.params['pci']?.origin,
    });
    return {
      name: 'device',
      args: {
        driver: 'vfio-pci',
        host,
        id: `${device.id}.${index}`,
        bus: device.slot?.bus ?? 'pcie.0',
        addr: `${device.slot?.addr ?? '0'}.${index}`,
        ...(index === 0 && functions.length > 1 && { multifunction: true }),
        ...(index === 0 && vga !== null && { 'x-vga': vga }),
        ...(index === 0 && rom !== null && { romfile: rom }),
      },
      origin: device.origin,
    };
  });
  return { options };
}

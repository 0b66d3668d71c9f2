import type { QemuOption } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Functions that a slot has room for. */
const MOST = 8;

/** Needs code because one device has as many functions as the user lists, each an option of its own. */
export function resolvePassthrough(device: PlannedDevice, context: PlanContext): Resolved {
  const functions = param<readonly string[]>(device, 'pci') ?? [];
  if (functions.length > MOST)
    context.refuse({
      code: 'combination-refused',
      message: `${device.id}.pci has ${functions.length} functions; a slot has room for ${MOST}`,
      help: 'list the functions of one device, and further devices under `pci`',
      origin: device.params['pci']?.origin ?? device.origin,
    });
  // What is about the device as a whole is said of its main function.
  const rombar = param<boolean>(device, 'rombar');
  const own = {
    'x-vga': param<boolean>(device, 'x-vga'),
    'x-igd-opregion': param<boolean>(device, 'x-igd-opregion'),
    romfile: param<string>(device, 'romfile'),
    rombar: rombar === null ? null : Number(rombar),
  };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== null)) as {
    [key: string]: string;
  };
  const options = functions.map(
    (host, index): QemuOption => ({
      name: 'device',
      args: {
        driver: 'vfio-pci',
        host,
        id: `${device.id}.${index}`,
        bus: device.slot?.bus ?? 'pcie.0',
        addr: `${device.slot?.addr ?? '0'}.${index}`,
        ...(index === 0 && functions.length > 1 && { multifunction: true }),
        ...(index === 0 && given),
      },
      origin: device.origin,
    }),
  );
  return { options };
}

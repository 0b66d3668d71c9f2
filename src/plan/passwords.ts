import { type PlannedDevice, param, saidAt } from './device.ts';
import type { Password } from './planned-qemu.ts';

/** The servers that ask for a password, which QEMU is told before the guest runs. */
export function passwordsOf(devices: readonly PlannedDevice[]): Password[] {
  return devices.flatMap((device): Password[] => {
    const file = param<string>(device, 'password-file');
    if (file === null || (device.section !== 'spice' && device.section !== 'vnc')) return [];
    return [{ protocol: device.section, file, origin: saidAt(device, 'password-file') }];
  });
}

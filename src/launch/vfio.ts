import type { Diagnostic } from '../core/diagnostic.ts';
import { formatSize } from '../core/size.ts';
import { CLOSED, findMediatedFaults, findPciFaults, lockableMemory, type VfioFault } from '../host/vfio.ts';
import type { RequirementOf } from '../plan/plan.ts';

/** Why a device cannot be handed to the VM, every reason that can be seen at once. */
export function checkVfio({ device, together, helper, origin }: RequirementOf<'vfio'>): Diagnostic[] {
  const faults = device.startsWith('/') ? findMediatedFaults(device) : findPciFaults(device, together);
  return faults.map(({ help, ...fault }) => ({
    severity: 'error',
    ...fault,
    help: helper !== undefined && CLOSED.includes(fault.code) ? `${help}; or ${helper}` : help,
    origin,
  }));
}

/** Where the device that was chosen cannot be handed over, why none of the others could take its place. */
export function checkChoice({ taken, others, origin }: RequirementOf<'vfio-choice'>): Diagnostic | undefined {
  const faultOf = (device: readonly string[]): VfioFault | undefined =>
    device.flatMap((address) => findPciFaults(address, device))[0];
  if (!faultOf(taken)) return undefined;
  const reasons = others.flatMap((device) => faultOf(device)?.message ?? []);
  return {
    severity: 'error',
    code: 'pci-none-free',
    message: `nor can any other of them be handed over: ${reasons.join('; ')}`,
    help: 'stop another VM, or let `sudo ezvm setup group` prepare them all',
    origin,
  };
}

/** Whether QEMU, which inherits our limit, may lock as much memory as it will. */
export function checkLockedMemory({ bytes, helper, origin }: RequirementOf<'locked-memory'>): Diagnostic | undefined {
  const limit = lockableMemory();
  if (limit >= bytes) return undefined;
  return {
    severity: 'error',
    code: 'locked-memory-short',
    message: `the VM's memory must be locked for devices that are handed over, ${formatSize(bytes)} with what they need; you may lock ${formatSize(limit)}`,
    help: `let \`sudo ezvm setup group\` raise the limit and log in again; for this shell: sudo prlimit --memlock=${bytes} --pid $$${helper === undefined ? '' : `; or ${helper}`}`,
    origin,
  };
}

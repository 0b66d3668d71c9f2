import type { Diagnostic } from '../core/diagnostic.ts';
import { formatSize } from '../core/size.ts';
import { findMediatedFaults, findPciFaults, lockableMemory } from '../host/vfio.ts';
import type { Requirement } from '../plan/plan.ts';

type Of<Kind extends Requirement['kind']> = Extract<Requirement, { kind: Kind }>;

/** Why a device cannot be handed to the VM, every reason that can be seen at once. */
export function checkVfio({ device, together, origin }: Of<'vfio'>): Diagnostic[] {
  const faults = device.startsWith('/') ? findMediatedFaults(device) : findPciFaults(device, together);
  return faults.map((fault) => ({ severity: 'error', ...fault, origin }));
}

/** Whether QEMU, which inherits our limit, may lock as much memory as it will. */
export function checkLockedMemory({ bytes, origin }: Of<'locked-memory'>): Diagnostic | undefined {
  const limit = lockableMemory();
  if (limit >= bytes) return undefined;
  return {
    severity: 'error',
    code: 'locked-memory-short',
    message: `the VM's memory must be locked for devices that are handed over, ${formatSize(bytes)} with what they need; you may lock ${formatSize(limit)}`,
    help: `let \`sudo ezvm setup group\` raise the limit and log in again; for this shell: sudo prlimit --memlock=${bytes} --pid $$`,
    origin,
  };
}

import type { Diagnostic } from '../core/diagnostic.ts';
import { findKvmfrFaults } from '../host/kvmfr.ts';
import type { Plan, RequirementOf } from '../plan/plan.ts';

type Kvmfr = RequirementOf<'kvmfr'>;

/** Why Looking Glass's memory cannot be used, or is seen by others. */
export function checkKvmfr({ path, bytes, instead, origin }: Kvmfr): Diagnostic[] {
  return findKvmfrFaults(path, bytes).map(({ help, ...fault }) => ({
    ...fault,
    help: `${help}; or ${instead}`,
    origin,
  }));
}

/** What mends a QEMU that said these lines because the module has less memory than is wanted: only mapping it shows that. */
export function findTooSmall(
  { requirements }: Plan,
  lines: readonly string[],
): Pick<Diagnostic, 'help' | 'origin'> | undefined {
  const kvmfr = requirements.find((one) => one.kind === 'kvmfr');
  // Where memory of the host runs out, the kernel gives another reason.
  if (!kvmfr || !lines.some((line) => /unable to map backing store.*(Invalid argument|No such device)/.test(line)))
    return undefined;
  const megabytes = kvmfr.bytes / 1024 / 1024;
  return {
    help: `${kvmfr.path} has less than ${megabytes} MiB; load the module anew: sudo modprobe -r kvmfr && sudo modprobe kvmfr static_size_mb=${megabytes}; or ${kvmfr.instead}`,
    origin: kvmfr.origin,
  };
}

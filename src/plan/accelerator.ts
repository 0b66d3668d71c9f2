import type { HostFacts } from '../host/facts.ts';
import type { VmSpec } from '../model/spec.ts';
import type { PlanContext } from './device.ts';

/**
 * The accelerator that `machine.accel` means on this host. `auto` takes KVM (HVF on a Mac) where a VM can really be
 * created, and TCG, with a warning, where it cannot; one asked for by name is never replaced.
 */
export function chooseAccelerator(
  spec: VmSpec,
  facts: HostFacts,
  context: Pick<PlanContext, 'note' | 'require'>,
): PlanContext['accel'] {
  const machine = spec.devices.find((device) => device.section === 'machine');
  const asked = machine?.params['accel'];
  const reason = facts.kvm.reason ?? 'KVM is not usable';
  if (asked?.value === 'tcg' || asked?.value === 'hvf') return asked.value;
  if (asked?.value === 'kvm') {
    if (!facts.kvm.usable)
      context.require({
        kind: 'unmet',
        code: 'kvm-unusable',
        message: `machine.accel is kvm, but ${reason}`,
        origin: asked.origin,
        help: 'mend that, or write `accel: auto` to run slower without it',
      });
    return 'kvm';
  }
  if (facts.kvm.usable) return 'kvm';
  context.note({ severity: 'warning', code: 'no-kvm', message: `the VM will run slowly, without KVM: ${reason}` });
  return 'tcg';
}

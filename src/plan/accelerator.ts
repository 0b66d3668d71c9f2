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
  const wanted = asked?.value;
  if (wanted === 'tcg') return 'tcg';
  if (wanted === 'kvm' || wanted === 'hvf') {
    const usable = wanted === 'kvm' ? facts.kvm.usable : facts.hvf?.usable === true;
    const why = wanted === 'kvm' ? reason : (facts.hvf?.reason ?? 'only Macs have it');
    if (!usable)
      context.require({
        kind: 'unmet',
        code: `${wanted}-unusable`,
        message: `machine.accel is ${wanted}, but ${why}`,
        origin: asked?.origin,
        help: 'mend that, or run slower without it: write `accel: auto` under machine, or say `--set machine.accel=auto`',
      });
    return wanted;
  }
  if (facts.kvm.usable) return 'kvm';
  if (facts.hvf?.usable) return 'hvf';
  const without = facts.hvf ? `without HVF: ${facts.hvf.reason}` : `without KVM: ${reason}`;
  context.note({ severity: 'warning', code: 'no-kvm', message: `the VM will run slowly, ${without}` });
  return 'tcg';
}

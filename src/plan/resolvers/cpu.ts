import type { QemuProps } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/**
 * Needs code because the model depends on the accelerator, and flags are property names, which templates cannot compute.
 */
export function resolveCpu(device: PlannedDevice, context: PlanContext): Resolved {
  const sockets = param<number>(device, 'sockets') ?? 1;
  const cores = param<number>(device, 'cores') ?? 1;
  const threads = param<number>(device, 'threads') ?? 1;
  const origin = device.origin;
  return {
    options: [
      {
        name: 'cpu',
        args: { model: chooseModel(device, context), ...enlightenments(device, context), ...flags(device) },
        origin,
      },
      { name: 'smp', args: { cpus: sockets * cores * threads, sockets, cores, threads }, origin },
    ],
  };
}

function chooseModel(device: PlannedDevice, { accel, note }: PlanContext): string {
  const model = param<string>(device, 'model') ?? 'auto';
  if (model === 'auto') return accel === 'tcg' ? 'max' : 'host';
  if (model !== 'host' || accel !== 'tcg') return model;
  note({
    severity: 'warning',
    code: 'cpu-host-refused',
    message: 'cpu.model is host, which needs KVM; max is used instead',
    origin: device.params['model']?.origin,
  });
  return 'max';
}

/** TCG accepts `hv-` flags only to ignore them, with a warning for each; the guest would not see them. */
function enlightenments(device: PlannedDevice, { accel, note }: PlanContext): QemuProps {
  const names = param<readonly string[]>(device, 'hyperv') ?? [];
  const hidden = param<boolean>(device, 'hidden') === true;
  if (accel !== 'kvm') {
    if (names.length > 0 || hidden)
      note({
        severity: 'note',
        code: 'hyperv-left-out',
        message: 'Hyper-V enlightenments need KVM and are left out',
        origin: device.params['hyperv']?.origin,
      });
    return {};
  }
  return { ...Object.fromEntries(names.map((name) => flag(`hv-${name}`))), ...(hidden && { kvm: false }) };
}

function flags(device: PlannedDevice): QemuProps {
  return Object.fromEntries((param<readonly string[]>(device, 'flags') ?? []).map(flag));
}

/** `+aes`, `-svm`, `enforce`, `vendor=GenuineIntel` */
function flag(text: string): [string, string | boolean] {
  const [name = '', value] = text.split(/=(.*)/s);
  if (value === 'on' || value === 'off') return [name, value === 'on'];
  if (value !== undefined) return [name, value];
  return name.startsWith('-') ? [name.slice(1), false] : [name.replace(/^\+/, ''), true];
}

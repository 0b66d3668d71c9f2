import { formatSize } from '../core/size.ts';
import { type PlanContext, param, saidAt } from './device.ts';
import { countProcessors } from './processors.ts';

/** Warns of less memory or fewer cores than the guest's maker asks for, and requires that the host has the memory. */
export function warnOfMinimum({ spec, devices, note, require }: PlanContext): void {
  const { memory, cores, label } = spec.minimum;
  const ram = devices.find((device) => device.section === 'memory');
  const cpu = devices.find((device) => device.section === 'cpu');
  const bytes = ram && param<number>(ram, 'size');
  if (ram && bytes) {
    require({ kind: 'memory', bytes, origin: saidAt(ram, 'size') });
    if (memory !== undefined && bytes < memory)
      note({
        severity: 'warning',
        code: 'memory-small',
        message: `${label} asks for ${formatSize(memory)} of memory at least; this VM has ${formatSize(bytes)}`,
        origin: saidAt(ram, 'size'),
      });
  }
  if (cpu && cores !== undefined && countProcessors(cpu) < cores)
    note({
      severity: 'warning',
      code: 'cores-few',
      message: `${label} asks for ${cores} cores at least; this VM has ${countProcessors(cpu)}`,
      origin: saidAt(cpu, 'cores'),
    });
}

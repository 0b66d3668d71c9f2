import type { CombinationEntry } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { type PlanContext, type PlannedDevice, saidAt } from './device.ts';
import { holds, type Names, substituteText } from './expand.ts';

function bytesOf(value: unknown): number {
  return typeof value === 'string' ? new TextEncoder().encode(value).length : 0;
}

/** Refuses or warns of the combinations of settings that a device's template lists. */
export function tellCombinations(device: PlannedDevice, names: Names, { refuse, note }: PlanContext): void {
  const { template } = device;
  const told = (entries: readonly CombinationEntry[], code: string): Omit<Diagnostic, 'severity'>[] =>
    entries
      .filter(({ when, key, longer }) => holds(when, names) && (longer === undefined || bytesOf(names[key]) > longer))
      .map(({ key, message, help }) => ({
        code,
        message: `${device.id}: ${substituteText(message, names, device)}`,
        help: String(substituteText(help, names, device)),
        origin: saidAt(device, key),
      }));
  for (const fault of told(template.refuse, 'combination-refused')) refuse(fault);
  for (const fault of told(template.useless, 'setting-useless')) refuse(fault);
  for (const fault of told(template.warn, 'combination-risky')) note({ severity: 'warning', ...fault });
}

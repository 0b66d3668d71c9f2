import type { CombinationEntry } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { type PlanContext, type PlannedDevice, saidAt } from './device.ts';
import { holds, type Names, substituteText } from './expand.ts';

/** Whether the text to blame is one that the entry is about. */
function isSaid({ longer, matches }: CombinationEntry, value: unknown): boolean {
  if (longer === undefined && matches === undefined) return true;
  if (typeof value !== 'string') return false;
  return (
    (longer === undefined || new TextEncoder().encode(value).length > longer) &&
    (matches === undefined || new RegExp(`^(?:${matches})$`).test(value))
  );
}

/** Refuses or warns of the combinations of settings that a device's template lists. */
export function tellCombinations(device: PlannedDevice, names: Names, { refuse, note }: PlanContext): void {
  const { template } = device;
  const told = (entries: readonly CombinationEntry[], code: string): Omit<Diagnostic, 'severity'>[] =>
    entries
      .filter((entry) => holds(entry.when, names) && isSaid(entry, names[entry.key]))
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

import type { QemuOption } from '../qemu/option.ts';
import { boardHas } from './board-gate.ts';
import { tellCombinations } from './combination.ts';
import type { PlanContext, PlannedDevice, Resolved } from './device.ts';
import { emitOptions, emitSidecars, guestTexts, namesOf, substituteText } from './expand.ts';
import type { Sidecar } from './plan.ts';
import { RESOLVERS } from './resolvers/index.ts';
import { judgeNeeds } from './version-gate.ts';

const NOTHING = { options: [], sidecars: [], guest: [] };

/** What one device adds to the plan. */
export interface EmittedDevice {
  readonly options: QemuOption[];
  readonly sidecars: Sidecar[];
  readonly guest: string[];
}

/** What a device becomes, by its template and its resolver; nothing where the board or QEMU lacks what it needs and it is left out. */
export function emitDevice(device: PlannedDevice, context: PlanContext): EmittedDevice {
  const { template } = device;
  if (!boardHas(template.needs, device, context, template.type)) return NOTHING;
  if (judgeNeeds(template.needs, device, context, template.type) === 'omitted') return NOTHING;
  const resolver = template.resolver === undefined ? undefined : RESOLVERS[template.resolver];
  const resolved: Resolved = resolver?.(device, context) ?? {};
  const names = namesOf(device, resolved, context);
  tellCombinations(device, names, context);
  for (const folder of template.folders) {
    context.step({ do: 'mkdir', path: String(substituteText(folder, names, device)), mode: 0o700, keep: true });
  }
  return {
    options: [...emitOptions(device, names, context), ...(resolved.options ?? [])],
    sidecars: emitSidecars(device, names, context).map((sidecar) => {
      const logins = (resolved.logins ?? []).filter(({ path }) => sidecar.argv.includes(path));
      return logins.length > 0 ? { ...sidecar, logins } : sidecar;
    }),
    guest: guestTexts(device, names),
  };
}

import type { ValueNeeds } from '../catalog/template.ts';
import { defaultOf } from '../model/devices.ts';
import type { DeviceSpec } from '../model/spec.ts';
import type { PlanContext } from './device.ts';

/**
 * Judges whether the board has what a device or one of its options needs. Which board a VM has is its own choice, so what
 * it lacks is a fault of the configuration, or is left out with a warning where the template says so. What nobody asked
 * for, because every VM has it, is left out without a word.
 * @param what `-device`, or the device's type
 * @param key the parameter that asks for it, where not all of the device does
 */
export function boardHas(
  needs: Partial<ValueNeeds> | undefined,
  device: DeviceSpec,
  context: PlanContext,
  what: string,
  key?: string,
): boolean {
  const { board, note, refuse } = context;
  if (needs?.board === undefined || board === undefined || board.has.includes(needs.board)) return true;
  if (isUnasked(device, context)) return false;
  const message = `${device.id}: ${what} does not go with the board ${boardType(context)}, which has no ${needs.board}`;
  const { origin } = device;
  const { otherwise = 'refuse' } = needs;
  if (otherwise !== 'refuse')
    note({ severity: 'warning', code: 'board-lacks', message: `${message}; ${insteadOf(otherwise)}`, origin });
  else
    refuse({
      code: 'board-lacks',
      message,
      origin,
      help: key === undefined ? helpFor(device, context) : `leave out \`${key}\`, or choose another board`,
    });
  return false;
}

/** What becomes of something that is not to be had, where a template knows what to do without it. */
export function insteadOf(otherwise: string): string {
  return otherwise === 'omit' ? 'left out' : `it gets ${otherwise} instead`;
}

function helpFor({ id, section, origin, typeOrigin }: DeviceSpec, { spec }: PlanContext): string {
  const { label } = spec.minimum;
  const out = id === section ? `leave it out with \`${section}: none\`` : 'leave it out';
  return (typeOrigin ?? origin)?.file.endsWith(`os/${label}.yaml`)
    ? `the template ${label} asks for it: choose another \`template:\`, such as linux, or ${out}`
    : `choose another type, or ${out}`;
}

/** Every VM has it, and nothing says anything of it that would not be so anyhow. */
function isUnasked({ origin, typeOrigin, template, params }: DeviceSpec, { defaultsFile }: PlanContext): boolean {
  const chosen = typeOrigin ?? origin;
  return (
    chosen !== undefined &&
    chosen.file === defaultsFile &&
    Object.entries(template.params).every(
      ([name, spec]) => JSON.stringify(params[name]?.value) === JSON.stringify(defaultOf(template, name, spec).value),
    )
  );
}

/** The machine's own name in VM files. */
function boardType({ spec }: PlanContext): string {
  return spec.devices.find(({ section }) => section === 'machine')?.template.type ?? '';
}

import { wordOf } from '../catalog/names.ts';
import type { Needs } from '../catalog/template.ts';
import type { DeviceSpec, SpecValue } from '../model/spec.ts';
import { compareVersions, formatVersion, parseVersion } from '../qemu/option.ts';
import { boardHas, insteadOf } from './board-gate.ts';
import type { PlanContext } from './device.ts';

/**
 * Judges whether this QEMU has what a device or one of its options needs. What is `omitted` has been noted; for what is
 * `refused` a requirement was made.
 * @param what `-device`, or the device's type
 */
export function judgeNeeds(
  needs: Needs | undefined,
  device: Pick<DeviceSpec, 'id' | 'origin'>,
  context: PlanContext,
  what: string,
): 'met' | 'omitted' | 'refused' {
  const message = needs?.qemu === undefined ? undefined : lackOf(needs.qemu, `${device.id}: ${what}`, context);
  if (message === undefined) return 'met';
  if (needs?.otherwise === 'omit') {
    noteLack(context, `${message}; left out`, device.origin);
    return 'omitted';
  }
  context.requireNewer(device.id, message, device.origin);
  return 'refused';
}

/** A device's values as this QEMU can have them: what it is too old for is refused, unset or replaced, as the template says. */
export function gateParams(device: DeviceSpec, context: PlanContext): DeviceSpec['params'] {
  return Object.fromEntries(
    Object.entries(device.params).map(([name, given]) => [name, gateValue(device, name, given, context)]),
  );
}

function gateValue(device: DeviceSpec, name: string, given: SpecValue, context: PlanContext): SpecValue {
  const { needs = {}, type } = device.template.params[name] ?? {};
  const word = type === 'enum' || type === 'bool' ? wordOf(given.value) : 'set';
  const gate = given.value === null ? undefined : needs[word];
  const shown = word === 'set' ? name : `${name} ${word}`;
  const origin = given.origin ?? device.origin;
  const { otherwise = 'refuse' } = gate ?? {};
  const without: SpecValue = {
    ...given,
    value: otherwise === 'omit' ? null : type === 'bool' ? otherwise === 'on' : otherwise,
  };
  const board = gate?.board === undefined ? undefined : { board: gate.board, otherwise };
  if (!boardHas(board, { ...device, origin }, context, shown, name)) return otherwise === 'refuse' ? given : without;
  const message = gate?.qemu === undefined ? undefined : lackOf(gate.qemu, `${device.id}: ${shown}`, context);
  if (message === undefined) return given;
  if (otherwise === 'refuse') {
    context.requireNewer(device.id, message, origin);
    return given;
  }
  noteLack(context, `${message}; ${insteadOf(otherwise)}`, origin);
  return without;
}

/** What to say where this QEMU is older than `qemu` (`>=8.1`) wants. */
function lackOf(qemu: string, what: string, { version }: PlanContext): string | undefined {
  const text = qemu.replace(/^>=\s*/, '');
  const wanted = parseVersion(text);
  if (!wanted || compareVersions(version, wanted) >= 0) return undefined;
  return `${what} needs QEMU ${text} or newer; this is ${formatVersion(version)}`;
}

function noteLack(context: PlanContext, message: string, origin: DeviceSpec['origin']): void {
  context.note({ severity: 'warning', code: 'qemu-too-old', message, origin });
}

import { compareVersions, formatVersion, parseVersion } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** What a board's short name stands for where no QEMU is there to say. */
export function newestOf(alias: string): string {
  return `pc-${alias === 'pc' ? 'i440fx' : alias}-10.0`;
}

/** Needs code because the accelerator is chosen by what the host can do. */
export function resolveMachine(device: PlannedDevice, context: PlanContext): Resolved {
  const machines = context.facts.qemu?.machines;
  const version = param<string>(device, 'version');
  const { type: alias } = device.template;
  // `q35` stands for the newest of its kind, such as pc-q35-9.2; the others differ in the number at the end.
  const newest = machines?.[alias] ?? newestOf(alias);
  const type = version === null ? alias : newest.replace(/-[\d.]+$/, () => `-${version}`);
  const wanted = parseVersion(version ?? '');
  if (machines && wanted && compareVersions({ ...context.version, micro: 0 }, wanted) < 0)
    context.requireNewer(
      device.id,
      `${device.id}: ${type} needs QEMU ${version} or newer; this is ${formatVersion(context.version)}`,
      device.params['version']?.origin ?? device.origin,
    );
  else if (machines && !Object.hasOwn(machines, type) && !Object.values(machines).includes(type))
    context.require({
      kind: 'unmet',
      code: 'machine-unknown',
      message: `this QEMU has no machine ${type}`,
      origin: device.params['version']?.origin ?? device.origin,
      help: 'leave out `machine.version` to get its newest',
    });
  return { values: { type, accel: context.accel } };
}

import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because the accelerator is chosen by what the host can do. */
export function resolveMachine(device: PlannedDevice, context: PlanContext): Resolved {
  const version = param<string>(device, 'version');
  const stem = param<string>(device, 'versioned-as');
  const type = version === null ? device.template.type : `${stem}-${version}`;
  const machines = context.facts.qemu?.machines;
  if (machines && !Object.hasOwn(machines, type) && !Object.values(machines).includes(type))
    context.require({
      kind: 'unmet',
      code: 'machine-unknown',
      message: `this QEMU has no machine ${type}`,
      origin: device.params['version']?.origin ?? device.origin,
      help: 'leave out `machine.version` to get its newest',
    });
  return { values: { type, accel: context.accel } };
}

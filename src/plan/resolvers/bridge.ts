import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';
import { makesTaps } from '../helper.ts';

/** Needs code because it depends on the host who puts the VM on the bridge: ezvm's helper with a tap, or QEMU by a helper of its own. */
export function resolveBridge(device: PlannedDevice, context: PlanContext): Resolved {
  const bridge = param<string>(device, 'bridge') ?? '';
  if (!makesTaps(context)) return { values: { type: 'bridge', br: bridge, fd: null } };
  const origin = device.params['bridge']?.origin ?? device.origin;
  const tap = {
    path: bridge,
    type: 'tap',
    access: 'write',
    direct: false,
    exclusive: false,
    opener: 'helper',
  } as const;
  return { values: { type: 'tap', br: null, fd: String(context.open({ ...tap, origin })) } };
}

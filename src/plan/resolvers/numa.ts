import type { QemuOption } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/**
 * Needs code because each distance is an option of its own. QEMU takes distances between nodes that it knows, so the last
 * node brings those of all.
 */
export function resolveNuma(device: PlannedDevice, { devices, refuse }: PlanContext): Resolved {
  const all = devices.filter(({ section }) => section === 'numa');
  const nodes = param<readonly number[]>(device, 'host-nodes') ?? [];
  const policy = param<string>(device, 'policy');
  if (policy !== null && nodes.length === 0)
    refuse({
      code: 'combination-refused',
      message: `${device.id}: policy says how memory comes from host-nodes, and there are none`,
      origin: device.params['policy']?.origin ?? device.origin,
      help: 'name the nodes of the host with `host-nodes: [0]`, or leave out the policy',
    });
  return {
    values: {
      policy: policy ?? (nodes.length === 0 ? null : 'bind'),
    },
    options: all.at(-1)?.id === device.id ? all.flatMap(distances) : [],
  };
}

function distances(device: PlannedDevice): QemuOption[] {
  return (param<readonly number[]>(device, 'distances') ?? []).map((val, dst) => ({
    name: 'numa',
    args: { type: 'dist', src: device.index ?? 0, dst, val },
    origin: device.params['distances']?.origin ?? device.origin,
  }));
}

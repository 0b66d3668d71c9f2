import type { QemuOption } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { countProcessors } from '../processors.ts';

/**
 * Needs code because each distance is an option of its own. QEMU takes distances between nodes that it knows, so the last
 * node brings those of all.
 */
export function resolveNuma(device: PlannedDevice, context: PlanContext): Resolved {
  const all = context.devices.filter(({ section }) => section === 'numa');
  const nodes = param<readonly number[]>(device, 'host-nodes') ?? [];
  const policy = param<string>(device, 'policy');
  const fault = (key: string, message: string, help: string): void =>
    context.refuse({
      code: 'combination-refused',
      message: `${device.id}: ${message}`,
      origin: saidAt(device, key),
      help,
    });
  if (policy !== null && nodes.length === 0)
    fault(
      'policy',
      'policy says how memory comes from host-nodes, and there are none',
      'name the nodes of the host with `host-nodes: [0]`, or leave out the policy',
    );
  checkProcessors(device, all, context, fault);
  const far = param<readonly number[]>(device, 'distances') ?? [];
  const own = far[device.index ?? 0];
  if (far.length > all.length)
    fault('distances', `there are ${far.length} distances, and ${all.length} nodes`, 'give one for each node');
  else if (own !== undefined && own !== 10)
    fault('distances', `the distance to itself is ${own}`, `write 10 as number ${(device.index ?? 0) + 1} of the list`);
  for (const node of nodes)
    context.require({
      kind: 'path',
      path: `/sys/devices/system/node/node${node}`,
      access: 'read',
      type: 'directory',
      help: 'the host has no such node of memory; `lscpu` tells which it has',
      origin: saidAt(device, 'host-nodes'),
    });
  return {
    values: {
      policy: policy ?? (nodes.length === 0 ? null : 'bind'),
    },
    options: all.at(-1)?.id === device.id ? all.flatMap(distances) : [],
  };
}

/** Each processor is of one node, and there. */
function checkProcessors(
  device: PlannedDevice,
  all: readonly PlannedDevice[],
  { devices }: PlanContext,
  fault: (key: string, message: string, help: string) => void,
): void {
  const cpu = devices.find(({ section }) => section === 'cpu');
  const [first, last] = processorsOf(device) ?? [];
  if (!cpu || first === undefined || last === undefined) return;
  const count = countProcessors(cpu);
  if (last < first) fault('cpus', `cpus ends with ${last}, before it begins`, `write ${last}-${first}`);
  else if (last >= count)
    fault('cpus', `there is no processor ${last}: the VM has ${count}, from 0 on`, 'name those that there are');
  for (const other of all.slice(0, all.indexOf(device))) {
    const [from, to] = processorsOf(other) ?? [];
    if (from !== undefined && to !== undefined && from <= last && first <= to)
      fault('cpus', `processor ${Math.max(first, from)} is one of ${other.id}'s`, 'name each in one node only');
  }
}

/** The first and the last of a node's own processors. */
function processorsOf(device: PlannedDevice): [number, number] | undefined {
  const [first, last = first] = (param<string>(device, 'cpus') ?? '').split('-');
  return first === '' ? undefined : [Number(first), Number(last)];
}

function distances(device: PlannedDevice): QemuOption[] {
  return (param<readonly number[]>(device, 'distances') ?? []).map((val, dst) => ({
    name: 'numa',
    args: { type: 'dist', src: device.index ?? 0, dst, val },
    origin: saidAt(device, 'distances'),
  }));
}

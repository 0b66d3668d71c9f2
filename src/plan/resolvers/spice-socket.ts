import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';

/** Needs code because a socket of the user's own wants a directory that is there and can be written. */
export function resolveSpiceSocket(device: PlannedDevice, { runDir, require }: PlanContext): Resolved {
  const path = param<string>(device, 'path');
  if (path !== null)
    require({
      kind: 'path',
      path: path.slice(0, Math.max(1, path.lastIndexOf('/'))),
      access: 'write',
      type: 'directory',
      help: 'make it, or leave out `path` and find the socket in the run directory',
      origin: saidAt(device, 'path'),
    });
  return { values: { socket: path ?? `${runDir}/spice.sock` } };
}

import type { PlanContext, PlannedDevice, Resolved } from '../device.ts';

/** Needs code because QEMU makes a folder for its socket, outside of the run directory, and leaves it. */
export function resolveSpiceApp({ origin }: PlannedDevice, { facts, spec, step, require }: PlanContext): Resolved {
  const runtime = facts.session['XDG_RUNTIME_DIR'];
  if (runtime !== undefined) step({ do: 'mkdir', path: `${runtime}/qemu/${spec.name}`, mode: 0o700, keep: false });
  require({ kind: 'session', wants: 'spice-handler', by: 'display spice-app', origin });
  return {};
}

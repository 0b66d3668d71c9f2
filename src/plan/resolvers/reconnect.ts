import { compareVersions } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because QEMUs differ in whether and in which words they are told to connect again. */
export function resolveReconnect(device: PlannedDevice, context: PlanContext): Resolved {
  return { values: param(device, 'server') === true ? { seconds: null, milliseconds: null } : reconnection(context) };
}

/** What tells a QEMU to try again each second: `seconds` from 8.0 on, `milliseconds` from 9.2 on, an older one nothing. */
export function reconnection({ version }: PlanContext): { seconds: number | null; milliseconds: number | null } {
  const since = (major: number, minor: number): boolean => compareVersions(version, { major, minor, micro: 0 }) >= 0;
  return { seconds: since(8, 0) && !since(9, 2) ? 1 : null, milliseconds: since(9, 2) ? 1000 : null };
}

import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';
import { protocolOf } from '../expand.ts';

const FORMAT_BY_ENDING: ReadonlyMap<string, string> = new Map([
  ['iso', 'raw'],
  ['qcow2', 'qcow2'],
  ['raw', 'raw'],
  ['vdi', 'vdi'],
  ['vhd', 'vpc'],
  ['vhdx', 'vhdx'],
  ['vmdk', 'vmdk'],
]);

/** Needs code because an image's format is told by its name and by looking into it. */
export function resolveDisk(device: PlannedDevice, context: PlanContext): Resolved {
  return { values: { format: chooseFormat(device, param<string>(device, 'file') ?? '', context) } };
}

/**
 * A format given or told by the name stands. Only then are the first bytes asked, and never against the name: a guest can
 * write a qcow2 header into its raw disk and have the next start open files of the host for it.
 */
function chooseFormat(device: PlannedDevice, file: string, context: PlanContext): string {
  const given = param<string>(device, 'format') ?? 'auto';
  const found = context.facts.paths[file]?.format;
  if (given !== 'auto') return given;
  if (protocolOf(file, context) === 'host_device') return 'raw';
  const named = FORMAT_BY_ENDING.get(/\.([^./]+)$/.exec(file)?.[1]?.toLowerCase() ?? '');
  if (found !== undefined && found !== (named ?? 'raw')) {
    if (named !== undefined || /\.(img|bin)$/i.test(file))
      context.require({
        kind: 'unmet',
        code: 'format-unclear',
        message: `${device.id}: ${file} looks like ${found}, though its name says ${named ?? 'raw'}`,
        origin: device.params['file']?.origin,
        help: `write \`format: ${found}\` if that is right, \`format: ${named ?? 'raw'}\` if the guest wrote it`,
      });
    return named ?? found;
  }
  return named ?? 'raw';
}

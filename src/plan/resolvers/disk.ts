import type { Origin } from '../../core/origin.ts';
import { formatSize } from '../../core/size.ts';
import type { PathFacts } from '../../host/facts.ts';
import type { QemuProps } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { protocolOf } from '../expand.ts';
import type { CreateImage } from '../plan.ts';

const FORMAT_BY_ENDING: ReadonlyMap<string, string> = new Map([
  ['iso', 'raw'],
  ['qcow2', 'qcow2'],
  ['raw', 'raw'],
  ['vdi', 'vdi'],
  ['vhd', 'vpc'],
  ['vhdx', 'vhdx'],
  ['vmdk', 'vmdk'],
]);

/** Formats that can be laid over another image. */
const LAYERED = ['qcow2', 'vmdk'];

/** Needs code because an image's format is told by its name and held against its contents, and one that is missing may be made. */
export function resolveDisk(device: PlannedDevice, context: PlanContext): Resolved {
  const file = param<string>(device, 'file') ?? '';
  const format = chooseFormat(device, 'file', 'format', context);
  const backing = backingOf(device, format, context);
  if (isMissing(file, context)) planImage(device, { file, format, backing }, context);
  else compareImage(device, file, context);
  const below: QemuProps | null = backing && { ...readOnly(backing, context) };
  if (param(device, 'snapshot') !== true)
    return { values: { path: file, protocol: protocolOf(file, context), format, backing: below } };
  const path = planLayer(device, { path: file, format }, context);
  const image: QemuProps = { ...readOnly({ path: file, format }, context), ...(below && { backing: below }) };
  return { values: { path, protocol: 'file', format: 'qcow2', backing: image } };
}

function readOnly({ path, format }: Backing, context: PlanContext): QemuProps {
  return { driver: format, 'read-only': true, file: { driver: protocolOf(path, context), filename: path } };
}

/** Lays an image over the disk's own that takes what the guest writes, and is gone with the VM. */
function planLayer(device: PlannedDevice, image: Backing, context: PlanContext): string {
  refuseWritten(device, image.path, 'file', context);
  const path = `${context.stateDir}/${device.id}-snapshot.qcow2`;
  context.step({
    do: 'create-image',
    path,
    format: 'qcow2',
    preallocation: 'off',
    backing: image,
    forOneRun: true,
    ...requireQemuImg(saidAt(device, 'snapshot'), context),
  });
  return path;
}

/** Where nobody looked, it may be. A device is never made. */
function isMissing(file: string, context: PlanContext): boolean {
  return (context.facts.paths[file]?.kind ?? 'missing') === 'missing' && protocolOf(file, context) === 'file';
}

function backingOf(device: PlannedDevice, format: string, context: PlanContext): Backing | null {
  const path = param<string>(device, 'backing');
  if (path === null) return null;
  if (path === param(device, 'file'))
    context.refuse({
      code: 'combination-refused',
      message: `${device.id}: the image would be laid over itself`,
      help: 'name a new file with `file`; it is made',
      origin: saidAt(device, 'backing'),
    });
  if (!LAYERED.includes(format))
    context.refuse({
      code: 'backing-refused',
      message: `${device.id}: an image of the format ${format} cannot be laid over another`,
      help: 'give the file a name that ends in .qcow2, or write `format: qcow2`',
      origin: saidAt(device, 'backing'),
    });
  refuseWritten(device, path, 'backing', context);
  return { path, format: chooseFormat(device, 'backing', 'backing-format', context) };
}

/** What is laid over an image that changes below it is lost; QEMU's locks would end the start. */
function refuseWritten(
  device: PlannedDevice,
  backing: string,
  key: string,
  { devices, facts, refuse }: PlanContext,
): void {
  // Several paths may lead to one file.
  const identityOf = (path: string | null): string | null => facts.paths[path ?? '']?.identity ?? path;
  const writer = devices.find(
    (other) =>
      other.id !== device.id &&
      identityOf(param<string>(other, 'file')) === identityOf(backing) &&
      param(other, 'read-only') === false &&
      param(other, 'snapshot') !== true,
  );
  if (writer)
    refuse({
      code: 'image-twice',
      message: `${device.id} is laid over ${backing}, which ${writer.id} writes`,
      help: `write \`read-only: on\` for ${writer.id}, or leave one of the two out`,
      origin: saidAt(device, key),
    });
}

/** Bytes that a guest sees in an image, where its header or its size tells. */
function contentsOf({ format, virtualSize, size }: Partial<PathFacts> = {}): number | undefined {
  return virtualSize ?? (format === 'raw' ? size : undefined);
}

type Backing = NonNullable<CreateImage['backing']>;

interface Wanted {
  readonly file: string;
  readonly format: string;
  readonly backing: Backing | null;
}

function planImage(device: PlannedDevice, { file, format, backing }: Wanted, context: PlanContext): void {
  const size = param<number>(device, 'size');
  if (size === null && !backing) return;
  const base = backing && contentsOf(context.facts.paths[backing.path]);
  if (size !== null && typeof base === 'number' && size < base)
    context.require({
      kind: 'unmet',
      code: 'backing-larger',
      message: `${device.id}: ${backing?.path} has ${formatSize(base)}, of which a disk of ${formatSize(size)} would lack the end`,
      help: `leave out \`size\`, or give ${formatSize(base)} or more`,
      origin: saidAt(device, 'size'),
    });
  const { origin } = device.params[size === null ? 'backing' : 'size'] ?? device;
  context.step({
    do: 'create-image',
    path: file,
    format,
    ...(size !== null && { size }),
    preallocation: param<string>(device, 'preallocation') ?? 'off',
    ...(backing && { backing }),
    ...requireQemuImg(origin, context),
  });
}

function requireQemuImg(origin: Origin | undefined, context: PlanContext): Pick<CreateImage, 'program' | 'origin'> {
  const program = context.facts.programs['qemu-img'];
  context.require({
    kind: 'program',
    program: 'qemu-img',
    ...(program !== undefined && { path: program }),
    help: 'install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, Arch)',
    origin,
  });
  return { program: program ?? 'qemu-img', origin };
}

/** What is there already is never changed, so what the file says of it may differ from what it is. */
function compareImage(device: PlannedDevice, file: string, context: PlanContext): void {
  const { facts, note, require } = context;
  const { format, backing, backingFormat, further = [], unlisted = [] } = facts.paths[file] ?? {};
  const size = param<number>(device, 'size');
  const is = contentsOf(facts.paths[file]);
  if (size !== null && is !== undefined && is !== size)
    note({
      severity: 'warning',
      code: 'size-differs',
      message: `${device.id}: ${file} is there already, with ${formatSize(is)}; \`size: ${formatSize(size)}\` is for a disk that is not`,
      help: is < size ? `let it grow, with the VM stopped: qemu-img resize ${file} ${formatSize(size)}` : undefined,
      origin: saidAt(device, 'size'),
    });
  for (const path of further)
    require({
      kind: 'path',
      path,
      access: 'read',
      type: 'image',
      help: `${file} has data in it, as its header says; without it, that is of no use`,
      origin: saidAt(device, 'file'),
    });
  for (const name of unlisted)
    require({
      kind: 'unmet',
      code: 'image-unlisted',
      message: `${device.id}: the header of ${file}, or of an image below it, names ${JSON.stringify(name)}, which is no path: QEMU would open whatever it says`,
      help: `if you trust it, name a file instead: qemu-img rebase -u -F FORMAT -b FILE IMAGE`,
      origin: saidAt(device, 'file'),
    });
  const given = param<string>(device, 'backing');
  if (given === null && backing !== undefined) refuseWritten(device, backing, 'backing', context);
  // QEMU would go by its contents, which a guest may have written.
  if (given === null && backing !== undefined && backingFormat === undefined)
    require({
      kind: 'unmet',
      code: 'format-unclear',
      message: `${device.id}: ${file} is laid over ${backing}, and does not say which format that has`,
      help: `write \`backing: ${backing}\`, and its \`backing-format\` where its name does not tell`,
      origin: saidAt(device, 'file'),
    });
  const origin = saidAt(device, 'backing');
  if (given === null && backing !== undefined)
    require({
      kind: 'path',
      path: backing,
      access: 'read',
      type: 'image',
      help: `${file} is laid over it; without it, that is of no use`,
      origin: saidAt(device, 'file'),
    });
  else if (given !== null && format !== undefined && backing !== given)
    require({
      kind: 'unmet',
      code: 'backing-differs',
      message: `${device.id}: ${file} is laid over ${backing ?? 'nothing'}, not over ${given}; the guest would find its data mixed up`,
      help:
        backing === undefined
          ? 'leave out `backing`, or name another file'
          : `write \`backing: ${backing}\`, or name another file`,
      origin,
    });
}

/**
 * A format given or told by the name stands, and a name that tells none is that of a raw image. The first bytes are only
 * compared with it: a guest can write a qcow2 header into its raw disk and have the next start open files of the host for it.
 */
function chooseFormat(device: PlannedDevice, key: string, formatKey: string, context: PlanContext): string {
  const file = param<string>(device, key) ?? '';
  const given = param<string>(device, formatKey) ?? 'auto';
  if (given !== 'auto') return given;
  if (protocolOf(file, context) === 'host_device') return 'raw';
  const named = FORMAT_BY_ENDING.get(/\.([^./]+)$/.exec(file)?.[1]?.toLowerCase() ?? '');
  const format = named ?? 'raw';
  const { format: found = format } = context.facts.paths[file] ?? {};
  if (found !== format)
    context.require({
      kind: 'unmet',
      code: 'format-unclear',
      message: `${device.id}: ${file} looks like ${found}, ${named === undefined ? 'which its name does not say' : `though its name says ${named}`}`,
      origin: saidAt(device, key),
      help: `write \`${formatKey}: ${found}\` if that is right, \`${formatKey}: ${format}\` if the guest wrote it`,
    });
  return format;
}

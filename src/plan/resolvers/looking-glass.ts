import { formatSize } from '../../core/size.ts';
import { isSaid, type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { resolveViewer } from './viewer.ts';

const MIB = 1024 * 1024;

/** Needs code because the size follows from the resolution, and because a device and a file want different things. */
export function resolveLookingGlass(device: PlannedDevice, context: PlanContext): Resolved {
  const path = param<string>(device, 'device') ?? '';
  const resolution = param<string>(device, 'resolution') ?? '';
  const needed = sizeFor(resolution, param<boolean>(device, 'hdr') === true);
  const size = param<number>(device, 'size') ?? needed;
  if (size < needed && isSaid(device, 'resolution'))
    context.note({
      severity: 'warning',
      code: 'memory-small',
      message: `display.size is ${formatSize(size)}; ${resolution} takes ${formatSize(needed)}, and what is below will be cut off`,
      help: 'leave out `size` or `resolution`',
      origin: saidAt(device, 'size'),
    });
  // QEMU's ivshmem takes no other.
  if (2 ** Math.round(Math.log2(size)) !== size)
    context.refuse({
      code: 'value-refused',
      message: `display.size is ${formatSize(size)}, which is no power of two`,
      help: `leave it out for ${formatSize(needed)}`,
      origin: saidAt(device, 'size'),
    });
  const isHandedOver = ({ section, template }: PlannedDevice): boolean =>
    ['gpu', 'pci'].includes(section) && ['passthrough', 'mdev'].includes(template.type);
  if (!context.devices.some(isHandedOver))
    context.note({
      severity: 'warning',
      code: 'gpu-missing',
      message: 'Looking Glass shows what a graphics card of the host draws, and none is handed over',
      help: 'write `gpu: { type: passthrough, pci: … }`, or choose another display',
      origin: device.origin,
    });
  const isFile = path.startsWith('/dev/shm/');
  // QEMU opens it by its path: what it is handed claims it, for as long as QEMU lives.
  context.open({
    path,
    type: isFile ? 'memory' : 'character',
    access: 'write',
    direct: false,
    exclusive: true,
    ...(isFile && { opener: 'step' }),
    origin: saidAt(device, 'device'),
  });
  if (isFile) context.step({ do: 'memory-file', path, size, mode: 0o600, origin: saidAt(device, 'device') });
  else
    context.require({
      kind: 'kvmfr',
      path,
      bytes: size,
      instead: `do without the module, by a file: \`device: /dev/shm/${context.spec.name}\``,
      origin: saidAt(device, 'device'),
    });
  return { values: { ...resolveViewer(device, context).values, size } };
}

/**
 * Bytes for pictures of `<width>x<height>`, by Looking Glass's own rule: two of them and 10 MiB, up to a power of two.
 * See https://looking-glass.io/docs/B7/install_libvirt/#determining-memory
 */
export function sizeFor(resolution: string, hdr: boolean): number {
  const [width = 0, height = 0] = resolution.split('x').map(Number);
  const bytes = width * height * (hdr ? 8 : 4) * 2 + 10 * MIB;
  return 2 ** Math.ceil(Math.log2(bytes));
}

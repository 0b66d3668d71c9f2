import { compareVersions } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because the right sound back-end follows from the display and from what QEMU was built with. */
export function resolveAudio(device: PlannedDevice, context: PlanContext): Resolved {
  const asked = param<string>(device, 'backend') ?? 'auto';
  if (asked === 'spice' && !hasSpice(context))
    context.refuse({
      code: 'combination-refused',
      message: 'audio.backend is spice, and there is no SPICE server',
      help: 'add `display: spice` or a `spice:` section, or choose another backend',
      origin: device.params['backend']?.origin ?? device.origin,
    });
  return { values: { backend: asked === 'auto' ? chooseBackend(context) : asked } };
}

function hasSpice({ devices }: PlanContext): boolean {
  return devices.some((device) => device.section === 'spice');
}

/** Displays that nobody sits at, or that carry no sound. */
const SILENT = ['none', 'vnc', 'egl-headless'];

function chooseBackend(context: PlanContext): string {
  const { devices, facts, version } = context;
  if (hasSpice(context)) return 'spice';
  if (!devices.some((device) => device.section === 'display' && !SILENT.includes(device.template.type))) return 'none';
  const built = facts.qemu?.audiodevs;
  // PipeWire came with QEMU 8.1 and also serves programs of PulseAudio.
  const wanted =
    compareVersions(version, { major: 8, minor: 1, micro: 0 }) >= 0
      ? ['pipewire', 'pa', 'sdl', 'alsa', 'coreaudio']
      : ['pa', 'sdl', 'alsa', 'coreaudio'];
  return wanted.find((backend) => built === undefined || built.includes(backend)) ?? 'none';
}

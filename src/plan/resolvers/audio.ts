import { compareVersions } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';

/** Needs code because the right sound back-end follows from the display, the session and what QEMU was built with. */
export function resolveAudio(device: PlannedDevice, context: PlanContext): Resolved {
  const { devices } = context;
  const asked = param<string>(device, 'backend') ?? 'auto';
  const backend = asked === 'auto' ? chooseBackend(device, context) : asked;
  const fault = (message: string, help: string): void =>
    context.refuse({
      code: 'combination-refused',
      message: `${device.id}.backend is ${asked}, and ${message}`,
      help,
      origin: saidAt(device, 'backend'),
    });
  if (asked === 'spice' && !hasSpice(context))
    fault('there is no SPICE server', 'add `display: spice` or a `spice:` section, or choose another backend');
  if (['pa', 'pipewire'].includes(asked) && !context.facts.sound.includes(asked))
    context.note({
      severity: 'warning',
      code: 'sound-missing',
      message: `${device.id}.backend is ${asked}, and your session has no such sound server; QEMU does not start without it`,
      help: 'leave out the backend for one that is there, or write `audio: none`',
      origin: saidAt(device, 'backend'),
    });
  // The display names it, and QEMU takes no other there.
  if (backend !== 'dbus' && device.section === 'audio' && devices.some(isOnBus))
    fault('the display wants it on the bus', 'leave out the backend, or `audio: on` of the display');
  return { values: { backend } };
}

function hasSpice({ devices }: PlanContext): boolean {
  return devices.some((device) => device.section === 'spice');
}

function isOnBus({ section, template, params }: PlannedDevice): boolean {
  return section === 'display' && template.type === 'dbus' && params['audio']?.value === true;
}

/** Displays that nobody sits at, or that carry no sound. */
const SILENT = ['none', 'vnc', 'egl-headless', 'curses'];

const EVERYTHING = ['pipewire', 'pa', 'alsa', 'coreaudio'];

function chooseBackend(card: PlannedDevice, context: PlanContext): string {
  const { devices, facts, version } = context;
  if (card.section === 'audio' && devices.some(isOnBus)) return 'dbus';
  if (hasSpice(context)) return 'spice';
  const display = devices.find(({ section }) => section === 'display')?.template.type ?? 'none';
  if (SILENT.includes(display)) return 'none';
  // QEMU's own server, which ezvm has no section for.
  if (display === 'spice-app') return 'spice';
  const old = compareVersions(version, { major: 8, minor: 1, micro: 0 }) < 0;
  const usable = (one: string): boolean =>
    (facts.qemu?.audiodevs.includes(one) ?? true) && !(old && one === 'pipewire');
  // Away from the desktop that it needs to start at all, it is planned for one with everything.
  const away = facts.session['DISPLAY'] === undefined && facts.session['WAYLAND_DISPLAY'] === undefined;
  const found = (away && facts.sound.length === 0 ? EVERYTHING : facts.sound).find(usable);
  if (found === undefined)
    context.note({
      severity: 'warning',
      code: 'sound-missing',
      message: `${card.id}: nobody will hear it: ${facts.sound.length === 0 ? 'there is no sound server in your session' : `this QEMU has no sound back-end for ${facts.sound.join(' or ')}`}`,
      help: 'start it from a terminal on your desktop, choose a `backend`, or write `audio: none`',
      origin: card.origin,
    });
  return found ?? 'none';
}

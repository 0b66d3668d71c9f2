import type { HostFacts } from '../../src/host/facts.ts';
import type { VmSpec } from '../../src/model/spec.ts';
import type { QemuOption, QemuProps } from '../../src/qemu/option.ts';
import { DEVICES, deviceWith } from '../one-device.ts';
import { lack } from './stand-ins.ts';

/** A command line with something else in the place of what this machine has not got, and what that is. */
export interface Replaced {
  readonly options: readonly QemuOption[];
  readonly standIns: readonly string[];
}

const NO_SCREEN: QemuOption = { name: 'display', args: { type: 'none' } };

/**
 * Puts something as like as can be in the place of what is absent.
 * @returns what nothing can stand in for, where there is such a thing
 */
export function replaceAbsent(options: readonly QemuOption[], facts: HostFacts): Replaced | string {
  const standIns: string[] = [];
  const replaced: QemuOption[] = [];
  // A window draws with OpenGL as well, but not beside SPICE.
  const opengl = options.some((option) => drawsOnGpu(option) && lack(option, facts) !== undefined);
  for (const option of options) {
    const { name, args } = option;
    const missing = lack(option, facts);
    if (typeof args !== 'object') replaced.push(option);
    else if (opengl && name === 'device' && /-gl(-pci)?$/.test(String(args['driver']))) {
      standIns.push(`the card without OpenGL for ${args['driver']}, where no GPU draws`);
      replaced.push({ name, args: { ...args, driver: String(args['driver']).replace('-gl', '') } });
    } else if (missing === undefined) replaced.push(option);
    else if (args['driver'] === 'vfio-pci') {
      standIns.push('pci-testdev for vfio-pci');
      replaced.push({ name, args: { driver: 'pci-testdev', ...only(args, ['id', 'bus', 'addr', 'multifunction']) } });
    } else if (name === 'spice') {
      standIns.push('SPICE without OpenGL');
      replaced.push({ name, args: without(args, ['gl', 'rendernode']) });
    } else if (name === 'display' && args['type'] === 'dbus') {
      standIns.push('a D-Bus connection without a bus, and without OpenGL');
      replaced.push({ name, args: { type: 'dbus', p2p: true } });
    } else if (name === 'display') {
      standIns.push(`no screen for ${args['type']}`);
      replaced.push(NO_SCREEN);
    } else return missing;
  }
  return { options: replaced, standIns };
}

/** Displays that draw on a GPU of the host's, without a window. */
function drawsOnGpu({ name, args }: QemuOption): boolean {
  if (typeof args !== 'object') return false;
  return (['spice', 'display'].includes(name) && args['gl'] === true) || args['type'] === 'egl-headless';
}

/** A VM with swtpm in the place of the host's own TPM; undefined where it does without that. */
export function withSwtpm(spec: VmSpec): VmSpec | undefined {
  const swtpm = DEVICES.find(({ name }) => name === 'devices/tpm/swtpm');
  const others = spec.devices.filter(({ section, template }) => section !== 'tpm' || template.type !== 'passthrough');
  if (!swtpm || others.length === spec.devices.length) return undefined;
  return { ...spec, devices: [...others, deviceWith(swtpm, {})] };
}

function only(args: QemuProps, keys: readonly string[]): QemuProps {
  return Object.fromEntries(Object.entries(args).filter(([key]) => keys.includes(key)));
}

function without(args: QemuProps, keys: readonly string[]): QemuProps {
  return Object.fromEntries(Object.entries(args).filter(([key]) => !keys.includes(key)));
}

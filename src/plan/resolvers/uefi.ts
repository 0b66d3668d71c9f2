import type { FirmwareDescriptor } from '../../host/facts.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';
import { chooseFirmware } from '../firmware-choice.ts';
import { newestOf } from './machine.ts';

/** What Debian, Ubuntu and Fedora ship, for plans made where no firmware is installed. */
const ASSUMED: FirmwareDescriptor = {
  file: '',
  interfaces: ['uefi'],
  executable: '/usr/share/OVMF/OVMF_CODE_4M.fd',
  executableFormat: 'raw',
  nvramTemplate: '/usr/share/OVMF/OVMF_VARS_4M.fd',
  nvramFormat: 'raw',
  mode: 'split',
  targets: [],
  features: [],
};

/** Size of edk2's 4M variable store, which a pflash device must have to the byte. */
const VARS_4M = 540672;

/** The board's whole name, such as pc-q35-10.0, by which firmware descriptors tell what they are for. */
function boardOf({ devices, facts }: PlanContext): string {
  const type = devices.find((device) => device.section === 'machine')?.template.type ?? 'q35';
  return facts.qemu?.machines[type] ?? newestOf(type);
}

/** An image that no descriptor tells about: raw, and with variables of its own, for no others fit it. */
function ownFirmware(device: PlannedDevice, executable: string, { refuse }: PlanContext): FirmwareDescriptor {
  if (param(device, 'vars') === null)
    refuse({
      code: 'combination-refused',
      message: 'firmware.code is given without firmware.vars',
      help: 'copy the variable store that belongs to the image, and name the copy with `vars`',
      origin: device.params['code']?.origin ?? device.origin,
    });
  const features = param<boolean>(device, 'secure-boot') ? ['requires-smm'] : [];
  const { nvramTemplate: _, ...plain } = ASSUMED;
  return { ...plain, executable, features };
}

/** Needs code because the image is chosen among QEMU's firmware descriptors by what it must be able to do. */
export function resolveUefi(device: PlannedDevice, context: PlanContext): Resolved {
  const secureBoot = param<boolean>(device, 'secure-boot');
  const enrolledKeys = param<boolean>(device, 'enrolled-keys');
  const found = chooseFirmware(context.facts.firmware, {
    interface: 'uefi',
    arch: context.facts.arch,
    machine: boardOf(context),
    ...(secureBoot !== null && { secureBoot }),
    ...(enrolledKeys !== null && { enrolledKeys }),
  });
  const keys = enrolledKeys ? ' with enrolled keys' : '';
  const wish = secureBoot ? ` that does Secure Boot${keys}` : keys && `${keys} and no Secure Boot`;
  const code = param<string>(device, 'code');
  if (!found && code === null)
    context.require({
      kind: 'unmet',
      code: 'firmware-missing',
      message: `no UEFI firmware is installed${wish}`,
      origin: device.params['secure-boot']?.origin ?? device.origin,
      help:
        enrolledKeys && !secureBoot
          ? 'write `secure-boot: on` as well; keys are enrolled for nothing else'
          : 'install the package ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch)',
    });
  const firmware = code === null ? (found ?? ASSUMED) : ownFirmware(device, code, context);
  const own = param<string>(device, 'vars');
  const vars = own ?? `${context.stateDir}/efivars.fd`;
  const isDevice = vars.startsWith('/dev/');
  if (isDevice)
    context.require({
      kind: 'path',
      path: vars,
      access: 'write',
      type: 'device',
      help: `make it, and copy ${firmware.nvramTemplate} into it`,
      origin: device.params['vars']?.origin,
    });
  else if (firmware.nvramTemplate !== undefined)
    context.step({ do: 'copy', from: firmware.nvramTemplate, to: vars, mode: 0o600 });
  const smm = firmware.features.includes('requires-smm');
  return {
    values: {
      code: firmware.executable,
      'code-format': firmware.executableFormat,
      vars,
      'vars-format': firmware.nvramFormat ?? 'raw',
      'vars-protocol': isDevice ? 'host_device' : 'file',
      'vars-size': isDevice ? (param<number>(device, 'vars-size') ?? VARS_4M) : null,
      smm: smm ? true : null,
    },
    options: smm
      ? [{ name: 'global', args: { driver: 'cfi.pflash01', property: 'secure', value: 'on' }, origin: device.origin }]
      : [],
  };
}

import type { BoardSpec } from '../../catalog/template.ts';
import type { FirmwareDescriptor } from '../../host/facts.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { chooseFirmware } from '../firmware-choice.ts';
import { newestOf } from './machine.ts';

/** What Debian, Ubuntu and Fedora ship, for plans made where no firmware is installed: the image, and its variables. */
const USUAL: Readonly<Record<string, readonly [string, string]>> = {
  x86_64: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  aarch64: ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
};

/** Where Debian and Ubuntu, and where others have it. */
const PACKAGES: Readonly<Record<string, string>> = {
  x86_64: 'install the package ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Arch)',
  aarch64: 'install the package qemu-efi-aarch64 (Debian, Ubuntu) or edk2-aarch64 (Fedora, Arch)',
};

const PLAIN: Omit<FirmwareDescriptor, 'executable'> = {
  file: '',
  interfaces: ['uefi'],
  executableFormat: 'raw',
  nvramFormat: 'raw',
  mode: 'split',
  targets: [],
  features: [],
};

/** Size of the usual variable store (on PCs edk2's 4M one), which a pflash device must have to the byte. */
const VARS_SIZE: Readonly<Record<string, number>> = { x86_64: 540672, aarch64: 64 * 1024 * 1024 };

const PC: BoardSpec = { name: 'pc', family: 'pc-i440fx', arch: 'x86_64', has: [] };

function assumed(arch: string): FirmwareDescriptor {
  const [executable = '', nvramTemplate = ''] = USUAL[arch] ?? [];
  return { ...PLAIN, executable, nvramTemplate };
}

/** An image that no descriptor tells about: raw, and with variables of its own, for no others fit it. */
function ownFirmware(device: PlannedDevice, executable: string, { refuse }: PlanContext): FirmwareDescriptor {
  if (param(device, 'vars') === null)
    refuse({
      code: 'combination-refused',
      message: 'firmware.code is given without firmware.vars',
      help: 'copy the variable store that belongs to the image, and name the copy with `vars`',
      origin: saidAt(device, 'code'),
    });
  const features = param<boolean>(device, 'secure-boot') ? ['requires-smm'] : [];
  return { ...PLAIN, executable, features };
}

/** Needs code because the image is chosen among QEMU's firmware descriptors by what it must be able to do. */
export function resolveUefi(device: PlannedDevice, context: PlanContext): Resolved {
  const secureBoot = param<boolean>(device, 'secure-boot');
  const enrolledKeys = param<boolean>(device, 'enrolled-keys');
  const board = context.board ?? PC;
  const found = chooseFirmware(context.facts.firmware, {
    interface: 'uefi',
    arch: board.arch,
    // Descriptors know no short names.
    machine: newestOf(board, context),
    ...(secureBoot !== null && { secureBoot }),
    ...(enrolledKeys !== null && { enrolledKeys }),
  });
  // Without it a guest could write the variables that say what may start; ARM keeps them out of reach in another way.
  const unguarded = secureBoot && board.has.includes('x86') && !board.has.includes('smm');
  if (unguarded)
    context.refuse({
      code: 'board-lacks',
      message: `Secure Boot needs System Management Mode, which the board ${board.name} does not have`,
      origin: saidAt(device, 'secure-boot'),
      help: 'write `machine: q35`, or `secure-boot: off`',
    });
  const keys = enrolledKeys ? ' with enrolled keys' : '';
  const wish = secureBoot ? ` that does Secure Boot${keys}` : keys && `${keys} and no Secure Boot`;
  const code = param<string>(device, 'code');
  if (!found && code === null && !unguarded)
    context.require({
      kind: 'unmet',
      code: 'firmware-missing',
      message: `no UEFI firmware is installed${wish}`,
      origin: saidAt(device, 'secure-boot'),
      help:
        enrolledKeys && !secureBoot
          ? 'write `secure-boot: on` as well; keys are enrolled for nothing else'
          : PACKAGES[board.arch],
    });
  const firmware = code === null ? (found ?? assumed(board.arch)) : ownFirmware(device, code, context);
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
      'vars-size': isDevice ? (param<number>(device, 'vars-size') ?? VARS_SIZE[board.arch] ?? null) : null,
      smm: smm ? true : null,
    },
    options: smm
      ? [{ name: 'global', args: { driver: 'cfi.pflash01', property: 'secure', value: 'on' }, origin: device.origin }]
      : [],
  };
}

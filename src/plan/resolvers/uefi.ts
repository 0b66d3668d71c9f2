import type { BoardSpec } from '../../catalog/template.ts';
import { formatSize, parseSize } from '../../core/size.ts';
import type { FirmwareDescriptor, PathFacts } from '../../host/facts.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { chooseFirmware, type FirmwareWish } from '../firmware-choice.ts';
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

/** Of the usual variable stores (on PCs that of 4M images), which a pflash device must have to the byte. */
const NVRAM_SIZE: Readonly<Record<string, number>> = { x86_64: 540672, aarch64: 64 * 1024 * 1024 };

const PLAIN: Omit<FirmwareDescriptor, 'executable'> = {
  file: '',
  interfaces: ['uefi'],
  executableFormat: 'raw',
  nvramFormat: 'raw',
  mode: 'split',
  targets: [],
  features: [],
};

const PC: BoardSpec = { name: 'pc', family: 'pc-i440fx', arch: 'x86_64', has: [] };

/** Needs code because the image is chosen among QEMU's firmware descriptors by what it must be able to do. */
export function resolveUefi(device: PlannedDevice, context: PlanContext): Resolved {
  const firmware = chooseImage(device, context);
  const own = param<string>(device, 'vars');
  // A store of one size is of no use to an image of another.
  const whole = (firmware.executableSize ?? 0) + (firmware.nvramSize ?? 0);
  const suffix = whole === 2 * 2 ** 20 ? '-2M' : '';
  const vars = own ?? `${context.stateDir}/efivars${suffix}.fd`;
  const isDevice = vars.startsWith('/dev/');
  if (isDevice)
    context.require({
      kind: 'path',
      path: vars,
      access: 'write',
      type: 'device',
      help: `make it, and copy ${firmware.nvramTemplate} into it`,
      origin: saidAt(device, 'vars'),
    });
  else if (firmware.nvramTemplate !== undefined)
    context.step({ do: 'copy', from: firmware.nvramTemplate, to: vars, mode: 0o600 });
  if (own !== null && !isDevice) compareStore(device, firmware, own, context);
  if (wantsKeys(device) && !isDevice && (firmware.nvramFormat ?? 'raw') === 'raw')
    context.require({
      kind: 'enrolled-keys',
      path: vars,
      made: firmware.nvramTemplate !== undefined,
      origin: saidAt(device, 'secure-boot'),
    });
  const smm = firmware.features.includes('requires-smm');
  const nvramSize = firmware.nvramSize ?? NVRAM_SIZE[(context.board ?? PC).arch] ?? null;
  return {
    values: {
      code: firmware.executable,
      'code-format': firmware.executableFormat,
      vars,
      'vars-format': firmware.nvramFormat ?? 'raw',
      'vars-protocol': isDevice ? 'host_device' : 'file',
      'vars-size': isDevice ? (param<number>(device, 'vars-size') ?? nvramSize) : null,
      smm: smm ? true : null,
    },
    options: smm
      ? [{ name: 'global', args: { driver: 'cfi.pflash01', property: 'secure', value: 'on' }, origin: device.origin }]
      : [],
  };
}

/** Without keys Secure Boot lets everything start, and keys are for nothing else. */
function wantsKeys(device: PlannedDevice): boolean {
  return param<boolean>(device, 'enrolled-keys') ?? param<boolean>(device, 'secure-boot') ?? false;
}

function chooseImage(device: PlannedDevice, context: PlanContext): FirmwareDescriptor {
  const { facts } = context;
  const secureBoot = param<boolean>(device, 'secure-boot') ?? false;
  const enrolledKeys = wantsKeys(device);
  const board = context.board ?? PC;
  // Without it a guest could write the variables that say what may start; ARM keeps them out of reach in another way.
  if (secureBoot && board.has.includes('x86') && !board.has.includes('smm')) {
    context.refuse({
      code: 'board-lacks',
      message: `Secure Boot needs System Management Mode, which the board ${board.name} does not have`,
      origin: saidAt(device, 'secure-boot'),
      help: 'write `machine: q35`, or `secure-boot: off`',
    });
    return assumed(board.arch);
  }
  const code = param<string>(device, 'code');
  if (code !== null)
    return (
      facts.firmware.find(({ executable, mode }) => executable === code && mode === 'split') ??
      ownImage(device, code, context)
    );
  const size = param<string>(device, 'size');
  const wish: FirmwareWish = {
    interface: 'uefi',
    arch: board.arch,
    // Descriptors know no short names.
    machine: newestOf(board, context),
    secureBoot,
    enrolledKeys,
    ...(size !== null && { size: parseSize(size) ?? 0 }),
  };
  const nvramSize = sizeOf(facts.paths[param<string>(device, 'vars') ?? '']);
  const fitting = nvramSize === undefined ? undefined : chooseFirmware(facts.firmware, { ...wish, nvramSize });
  const found = fitting ?? chooseFirmware(facts.firmware, wish);
  if (found) return found;
  const keys = enrolledKeys ? ' with enrolled keys' : secureBoot ? ' without enrolled keys' : '';
  const can = secureBoot ? ` that does Secure Boot${keys}` : keys && `${keys} and no Secure Boot`;
  context.require({
    kind: 'unmet',
    code: 'firmware-missing',
    message: `no UEFI firmware${size === null ? '' : ` of ${size}`} is installed${can}`,
    origin: saidAt(device, size === null ? 'secure-boot' : 'size'),
    help:
      enrolledKeys && !secureBoot
        ? 'write `secure-boot: on` as well; keys are enrolled for nothing else'
        : size === '2M'
          ? 'few distributions still have it; leave out `size`, or name an image and its variable store with `code` and `vars`'
          : PACKAGES[board.arch],
  });
  return assumed(board.arch);
}

function assumed(arch: string): FirmwareDescriptor {
  const [executable = '', nvramTemplate = ''] = USUAL[arch] ?? [];
  return { ...PLAIN, executable, nvramTemplate, nvramSize: NVRAM_SIZE[arch] ?? 0 };
}

/** An image that no descriptor tells about: raw, and with variables of its own, for no others fit it. */
function ownImage(
  device: PlannedDevice,
  executable: string,
  { facts, refuse, require }: PlanContext,
): FirmwareDescriptor {
  const vars = param<string>(device, 'vars');
  const help = 'copy the variable store that belongs to the image, and name the copy with `vars`';
  if (vars === null)
    refuse({
      code: 'combination-refused',
      message: 'firmware.code is given without firmware.vars',
      help,
      origin: saidAt(device, 'code'),
    });
  else if (!vars.startsWith('/dev/'))
    require({ kind: 'path', path: vars, access: 'write', type: 'file', help, origin: saidAt(device, 'vars') });
  const features = param<boolean>(device, 'secure-boot') ? ['requires-smm'] : [];
  const executableSize = sizeOf(facts.paths[executable]);
  return { ...PLAIN, executable, features, ...(executableSize !== undefined && { executableSize }) };
}

/** QEMU maps whatever it is given, and an image that does not find its variables there hangs or forgets them. */
function compareStore(device: PlannedDevice, firmware: FirmwareDescriptor, vars: string, context: PlanContext): void {
  const { format, ...found } = context.facts.paths[vars] ?? {};
  const { executable, executableSize, nvramSize, nvramFormat = 'raw' } = firmware;
  const size = sizeOf(found);
  const whole = size === undefined || executableSize === undefined ? undefined : size + executableSize;
  // Image and store are parts of one chip, whose size is a power of two.
  const fits = nvramSize === undefined ? whole === undefined || Number.isInteger(Math.log2(whole)) : size === nvramSize;
  const unlike =
    format !== undefined && format !== nvramFormat
      ? `looks like ${format}, and the variable store of ${executable} is ${nvramFormat}`
      : size !== undefined && !fits
        ? `has ${formatSize(size)}, and is no variable store for ${executable}${nvramSize === undefined ? '' : `, which has one of ${formatSize(nvramSize)}`}`
        : undefined;
  if (unlike !== undefined)
    context.require({
      kind: 'unmet',
      code: 'variables-differ',
      message: `${vars} ${unlike}`,
      help:
        firmware.nvramTemplate === undefined
          ? 'name a copy of the one that belongs to the image'
          : 'name a file that is not there, and it is made; or the image that this belongs to, with `size` or `code`',
      origin: saidAt(device, 'vars'),
    });
}

/** Bytes as the guest sees them, of a file. */
function sizeOf(found: Partial<PathFacts> | undefined): number | undefined {
  return found?.kind === 'file' ? (found.virtualSize ?? found.size) : undefined;
}

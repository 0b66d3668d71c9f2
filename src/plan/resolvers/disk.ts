import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

const FORMAT_BY_ENDING: ReadonlyMap<string, string> = new Map([
  ['iso', 'raw'],
  ['qcow2', 'qcow2'],
  ['raw', 'raw'],
  ['vdi', 'vdi'],
  ['vhd', 'vpc'],
  ['vhdx', 'vhdx'],
  ['vmdk', 'vmdk'],
]);

/** Needs code because a device node, a file and an image's format are told apart by looking at the path. */
export function resolveDisk(device: PlannedDevice, context: PlanContext): Resolved {
  const file = param<string>(device, 'file');
  const cache = param<string>(device, 'cache') ?? 'writeback';
  const direct = cache === 'none' || cache === 'directsync';
  refuseCombinations(device, direct, context);
  tellOfPorts(device, context);
  return {
    values: {
      protocol: file !== null && isDevice(file, context) ? 'host_device' : 'file',
      format: file === null ? null : chooseFormat(device, file, context),
      bootindex: bootIndex(device, context),
      // QEMU's own table of cache modes (qemu-options: -drive cache=).
      'cache-direct': direct,
      'cache-no-flush': cache === 'unsafe',
      'write-cache': cache === 'writethrough' || cache === 'directsync' ? 'off' : 'on',
      'detect-zeroes': param<string>(device, 'detect-zeroes') ?? (param(device, 'discard') === false ? 'on' : 'unmap'),
    },
  };
}

/** Settings that QEMU does not take together (tried on 7.2). */
function refuseCombinations(device: PlannedDevice, direct: boolean, { refuse }: PlanContext): void {
  const is = (name: string, value: unknown): boolean => param(device, name) === value;
  const refuseAt = (name: string, message: string, help: string): void =>
    refuse({
      code: 'combination-refused',
      message: `${device.id}: ${message}`,
      help,
      origin: device.params[name]?.origin ?? device.origin,
    });
  if (is('aio', 'native') && !direct)
    refuseAt('aio', "aio: native goes around the host's cache", 'use it with `cache: none` or `cache: directsync`');
  if (is('detect-zeroes', 'unmap') && is('discard', false))
    refuseAt('detect-zeroes', 'detect-zeroes: unmap discards, and discard is off', 'write `detect-zeroes: on`');
  if ((is('bus', 'sata') || is('bus', 'ide')) && is('read-only', true))
    refuseAt('read-only', 'a SATA or IDE disk cannot be read-only', 'use another bus, or a drive of the type cdrom');
  if (device.template.type === 'cdrom' && is('bus', 'usb') && is('file', null))
    refuseAt('bus', 'a USB drive cannot be empty', 'give it a file, or use another bus');
}

/** Old systems have no driver for the one, and some no longer for the other. */
function tellOfPorts(device: PlannedDevice, { board, note }: PlanContext): void {
  const asked = param<string>(device, 'bus');
  const has = board?.has.includes('sata') ? 'sata' : 'ide';
  if (board && (asked === 'sata' || asked === 'ide') && !board.has.includes(asked))
    note({
      severity: 'warning',
      code: 'bus-differs',
      message: `${device.id}: the board ${board.name} has no ${asked.toUpperCase()}; the guest sees it on ${has.toUpperCase()}`,
      help: `write \`bus: ${has}\`, or choose the other board with \`machine: ${has === 'ide' ? 'q35' : 'pc'}\``,
      origin: device.params['bus']?.origin ?? device.origin,
    });
}

/** A link may lead to a device from anywhere, and /dev/shm holds files; only where nobody looked does the name decide. */
function isDevice(file: string, { facts }: PlanContext): boolean {
  const kind = facts.paths[file]?.kind ?? 'missing';
  return kind === 'missing' || kind === 'denied' ? file.startsWith('/dev/') : kind === 'block' || kind === 'character';
}

/**
 * A format given or told by the name stands. Only then are the first bytes asked, and never against the name: a guest can
 * write a qcow2 header into its raw disk and have the next start open files of the host for it.
 */
function chooseFormat(device: PlannedDevice, file: string, context: PlanContext): string {
  const given = param<string>(device, 'format') ?? 'auto';
  const found = context.facts.paths[file]?.format;
  if (given !== 'auto') return given;
  if (isDevice(file, context)) return 'raw';
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

/** Where no device says, disks boot in their order; from 1, because a kernel given with `boot.kernel` takes 0. */
function bootIndex(device: PlannedDevice, context: PlanContext): number | null {
  const own = param<number>(device, 'boot');
  if (own !== null) return own;
  const anyone = context.spec.devices.some((other) => (other.params['boot']?.value ?? null) !== null);
  const disks = context.spec.devices.filter((other) => other.section === 'disks');
  return anyone ? null : disks.findIndex((other) => other.id === device.id) + 1;
}

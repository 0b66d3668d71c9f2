import type { Report } from '../core/diagnostic.ts';
import { formatOrigin } from '../core/origin.ts';
import type { HostFacts } from '../host/facts.ts';
import { propsOf, type QemuOption, type QemuProps } from '../qemu/option.ts';
import type { PlannedDevice } from './device.ts';
import { findHandedTwice } from './handed.ts';
import { findTwice } from './twice.ts';

/** Everything that QEMU or a guest could not tell apart, and what options ask for that cannot be had together. */
export function findClashes(
  options: readonly QemuOption[],
  devices: readonly PlannedDevice[],
  paths: HostFacts['paths'],
  report: Report,
): void {
  findSameIds(options, report);
  findSameNames(options, report);
  findSameIdentifiers(devices, report);
  findSameImages(options, paths, report);
  findHandedTwice(options, report);
  findMisfits(options, report);
  findUnspeakable(options, report);
}

/** Options of one kind with the same id, which QEMU would refuse, and devices that want to boot at once. */
function findSameIds(options: readonly QemuOption[], report: Report): void {
  findTwice(
    options,
    'id-twice',
    (option) => {
      const id = textOf(propsOf(option)['id']);
      return id && `${option.name} ${id}`;
    },
    (_, option) => `two devices are called ${propsOf(option)['id']}`,
    report,
  );
  findTwice(
    options,
    'boot-order-twice',
    // QEMU boots a kernel given to it as number 0.
    (option) => (option.name === 'kernel' ? '0' : textOf(propsOf(option)['bootindex'])),
    (index) => `two devices want to be number ${index} in the boot order`,
    report,
  );
}

/** Texts, files and folders that the guest would find under one name. */
function findSameNames(options: readonly QemuOption[], report: Report): void {
  findTwice(
    options.filter(({ name }) => name === 'fw_cfg'),
    'name-twice',
    (option) => textOf(propsOf(option)['name']),
    (name) => `two items of fw-cfg have the name ${name}`,
    report,
  );
  findTwice(
    options.filter(({ name }) => name === 'device'),
    'tag-twice',
    (option) => textOf(propsOf(option)['tag'] ?? propsOf(option)['mount_tag']),
    (tag) => `two shared folders have the tag ${tag}`,
    report,
  );
}

/** Parameters that a guest tells the devices of a section apart by. */
const IDENTIFIERS = [
  { section: 'network', name: 'mac', what: 'two network cards have the address' },
  { section: 'disks', name: 'serial', what: 'two disks have the serial number' },
  { section: 'disks', name: 'wwn', what: 'two disks have the World Wide Name' },
] as const;

function findSameIdentifiers(devices: readonly PlannedDevice[], report: Report): void {
  for (const { section, name, what } of IDENTIFIERS)
    findTwice(
      devices.filter((device) => device.section === section),
      `${name}-twice`,
      ({ params }) => {
        const value = params[name]?.value ?? undefined;
        return typeof value === 'object' && 'u64' in value ? value.u64 : textOf(value);
      },
      (text) => `${what} ${text}`,
      report,
    );
}

/** Images that two disks would use at once, unless both only read. */
function findSameImages(options: readonly QemuOption[], paths: HostFacts['paths'], report: Report): void {
  findTwice(
    options.filter(({ name }) => name === 'blockdev'),
    'image-twice',
    (option) => {
      const node = propsOf(option);
      return paths[pathOf(node) ?? '']?.identity ?? mediumOf(node);
    },
    (_, one, other) => {
      const [own, before] = [propsOf(one), propsOf(other)];
      if (own['read-only'] === true && before['read-only'] === true) return undefined;
      const [medium, same] = [mediumOf(own), mediumOf(before)];
      const what = medium === same ? '' : `, as ${before['node-name']} calls it ${same}`;
      return `${own['node-name']} and ${before['node-name']} are both ${medium}${what}, which only one can write`;
    },
    report,
  );
}

/** What two options must not both write: a path, or a disk of a server. */
function mediumOf(node: QemuProps): string | undefined {
  const { server, export: name, portal, target, lun } = node as { readonly [key: string]: QemuProps | undefined };
  if (server) return `${JSON.stringify(server)} ${JSON.stringify(name ?? '')}`;
  if (target) return `${portal} ${target} ${lun}`;
  const path = pathOf(node);
  return path === undefined ? undefined : JSON.stringify(path);
}

function pathOf(node: QemuProps): string | undefined {
  const { file } = node as { readonly [key: string]: QemuProps | undefined };
  return textOf(file?.['filename'] ?? file?.['dir']);
}

/** What QEMU refuses to load without a kernel. */
const WITH_KERNEL = ['append', 'initrd'];

/** Options that need another one that is not there. */
function findMisfits(options: readonly QemuOption[], report: Report): void {
  for (const option of options) {
    const { name, origin } = option;
    const props = propsOf(option);
    if (WITH_KERNEL.includes(name) && !options.some((other) => other.name === 'kernel'))
      report({
        severity: 'error',
        code: 'kernel-missing',
        message: `boot.${name} is of no use without boot.kernel`,
        origin,
        help: 'give the kernel that it is for, or leave it to the boot loader on the disk',
      });
    if (props['qom-type'] === 'throttle-group' && props['limits'] === undefined)
      report({
        severity: 'error',
        code: 'setting-useless',
        message: `no disk of the throttle-group ${String(props['id']).replace(/^limits-/, '')} gives it limits`,
        origin,
        help: 'give one of its disks `bps-total` or another limit',
      });
    if (isShared(option)) refuseOwnMemory(option, options, report);
  }
}

/** Whether another program works in the guest's memory for it. */
function isShared(option: QemuOption): boolean {
  const { type, driver } = propsOf(option);
  return option.name === 'netdev' ? type === 'vhost-user' : String(driver).startsWith('vhost-user-');
}

function refuseOwnMemory(option: QemuOption, options: readonly QemuOption[], report: Report): void {
  const memory = options.find((other) => {
    const { 'qom-type': type, id, share } = propsOf(other);
    return other.name === 'object' && String(type).startsWith('memory-backend-') && id === 'ram' && share !== true;
  });
  if (memory)
    report({
      severity: 'error',
      code: 'memory-unshared',
      message: `${propsOf(option)['id']} takes a program that works in the guest's memory, which is not shared`,
      origin: option.origin,
      help: `write \`share: on\`${memory.origin ? ` at ${formatOrigin(memory.origin)}` : ' for the memory'}, or leave it out`,
    });
}

/**
 * What key=value syntax cannot say, and would take for something else: strange names of properties, and a comma in
 * `-cpu`, which alone among QEMU's options knows no doubled commas.
 */
function findUnspeakable(options: readonly QemuOption[], report: Report): void {
  for (const option of options) {
    const { name, origin } = option;
    for (const [key, value] of Object.entries(propsOf(option))) {
      const word = typeof value === 'string' ? value : '';
      if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(key) && !(name === 'cpu' && word.includes(','))) continue;
      report({
        severity: 'error',
        code: 'value-unspeakable',
        message: `-${name} cannot be given ${JSON.stringify(word === '' ? key : `${key}=${word}`)}`,
        origin,
        help: name === 'cpu' ? 'write each flag as an item of its own' : 'names have letters, digits and . _ + - only',
      });
    }
  }
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}

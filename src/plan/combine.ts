import { suggestion } from '../catalog/params.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { formatOrigin } from '../core/origin.ts';
import type { PropsPatch, QemuOverrides } from '../model/spec.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';

/** Options that QEMU takes once; several devices may have something to say in them. */
const SINGLETONS = new Set(['machine', 'accel', 'cpu', 'smp', 'm', 'rtc', 'boot', 'name', 'spice']);

export type Report = (diagnostic: Diagnostic) => void;

/** Which option of all it is one with: of those that QEMU takes once, and of limits that several disks share. */
function nameOf({ name, args }: QemuOption): string | undefined {
  if (SINGLETONS.has(name)) return name;
  return typeof args === 'object' && args['qom-type'] === 'throttle-group' ? `throttle-group ${args['id']}` : undefined;
}

/** Joins what several devices say in options that exist once; two different values for one property are a fault. */
export function mergeSingletons(options: readonly QemuOption[], report: Report): QemuOption[] {
  const merged: QemuOption[] = [];
  const sources = new Map<string, QemuOption>();
  for (const option of options) {
    const own = nameOf(option);
    const index = own === undefined ? -1 : merged.findIndex((other) => nameOf(other) === own);
    const before = merged[index];
    if (typeof option.args === 'object')
      for (const [key, value] of Object.entries(option.args)) {
        const source = sources.get(`${own} ${key}`);
        if (before && source && typeof source.args === 'object' && !isSame(source.args[key], value))
          report(conflict(option, key, source));
        sources.set(`${own} ${key}`, option);
      }
    if (!before || typeof before.args !== 'object' || typeof option.args !== 'object') merged.push(option);
    else merged[index] = { ...before, args: { ...before.args, ...option.args } };
  }
  return merged;
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function conflict(option: QemuOption, key: string, other: QemuOption): Diagnostic {
  const elsewhere = other.origin ? ` at ${formatOrigin(other.origin)}` : '';
  return {
    severity: 'error',
    code: 'option-conflict',
    message: `-${option.name} ${key} is wanted as ${JSON.stringify((option.args as QemuProps)[key])} here and as ${JSON.stringify((other.args as QemuProps)[key])}${elsewhere}`,
    origin: option.origin,
    help: 'change one of the two',
  };
}

/** Two options of one kind with the same id, which QEMU would refuse; and two devices that want to boot first. */
export function findClashes(options: readonly QemuOption[], report: Report): void {
  const ids = new Map<string, QemuOption>();
  const kernel = options.find(({ name }) => name === 'kernel');
  // QEMU boots a kernel given to it as number 0.
  if (kernel) ids.set('bootindex 0', kernel);
  for (const option of options) {
    if (typeof option.args !== 'object') continue;
    for (const key of ['id', 'bootindex'] as const) {
      const value = option.args[key];
      if (value === undefined) continue;
      const name = key === 'id' ? `${option.name} ${value}` : `bootindex ${value}`;
      const other = ids.get(name);
      if (other)
        report({
          severity: 'error',
          code: key === 'id' ? 'id-twice' : 'boot-order-twice',
          message:
            key === 'id'
              ? `two devices are called ${value}`
              : `two devices want to be number ${value} in the boot order`,
          origin: option.origin,
          help: other.origin && `the other is at ${formatOrigin(other.origin)}`,
        });
      ids.set(name, option);
    }
  }
}

/** Two texts or files that the guest would find under one name. */
export function findSameNames(options: readonly QemuOption[], report: Report): void {
  const names = new Map<unknown, QemuOption>();
  for (const option of options) {
    if (option.name !== 'fw_cfg' || typeof option.args !== 'object') continue;
    const { name } = option.args;
    const other = names.get(name);
    if (other)
      report({
        severity: 'error',
        code: 'name-twice',
        message: `two items of fw-cfg have the name ${name}`,
        origin: option.origin,
        help: other.origin && `the other is at ${formatOrigin(other.origin)}`,
      });
    names.set(name, option);
  }
}

/** Two folders that the guest could not tell apart. */
export function findSameTags(options: readonly QemuOption[], report: Report): void {
  const tags = new Map<unknown, QemuOption>();
  for (const option of options) {
    if (option.name !== 'device' || typeof option.args !== 'object') continue;
    const tag = option.args['tag'] ?? option.args['mount_tag'];
    const other = tags.get(tag);
    if (tag !== undefined && other)
      report({
        severity: 'error',
        code: 'tag-twice',
        message: `two shared folders have the tag ${tag}`,
        origin: option.origin,
        help: other.origin && `the other is at ${formatOrigin(other.origin)}`,
      });
    if (tag !== undefined) tags.set(tag, option);
  }
}

/** What QEMU refuses to load without a kernel. */
const WITH_KERNEL = ['append', 'initrd'];

/** Options that need another one that is not there, and images that two disks would write at once. */
export function findMisfits(options: readonly QemuOption[], report: Report): void {
  const images = new Map<unknown, QemuOption>();
  for (const option of options) {
    const { name, args, origin } = option;
    if (WITH_KERNEL.includes(name) && !options.some((other) => other.name === 'kernel'))
      report({
        severity: 'error',
        code: 'kernel-missing',
        message: `boot.${name} is of no use without boot.kernel`,
        origin,
        help: 'give the kernel that it is for, or leave it to the boot loader on the disk',
      });
    if (nameOf(option)?.startsWith('throttle-group ') && typeof args === 'object' && args['limits'] === undefined)
      report({
        severity: 'error',
        code: 'setting-useless',
        message: `no disk of the throttle-group ${String(args['id']).replace(/^limits-/, '')} gives it limits`,
        origin,
        help: 'give one of its disks `bps-total` or another limit',
      });
    if (isShared(option)) refuseOwnMemory(option, options, report);
    if (name !== 'blockdev' || typeof args !== 'object') continue;
    const medium = mediumOf(args);
    if (medium === undefined) continue;
    const other = images.get(medium);
    if (other && typeof other.args === 'object' && !(args['read-only'] === true && other.args['read-only'] === true))
      report({
        severity: 'error',
        code: 'image-twice',
        message: `${args['node-name']} and ${other.args['node-name']} are both ${medium}, which only one can write`,
        origin,
        help: other.origin && `the other is at ${formatOrigin(other.origin)}`,
      });
    images.set(medium, option);
  }
}

/** What two options must not both write: a path, or a disk of a server. */
function mediumOf(node: QemuProps): string | undefined {
  const { file, server, export: name, portal, target, lun } = node as { readonly [key: string]: QemuProps | undefined };
  if (server) return `${JSON.stringify(server)} ${JSON.stringify(name ?? '')}`;
  if (target) return `${portal} ${target} ${lun}`;
  const path = file?.['filename'] ?? file?.['dir'];
  return path === undefined ? undefined : JSON.stringify(path);
}

/** Whether another program works in the guest's memory for it. */
function isShared({ name, args }: QemuOption): boolean {
  if (typeof args !== 'object') return false;
  return name === 'netdev' ? args['type'] === 'vhost-user' : String(args['driver']).startsWith('vhost-user-');
}

function refuseOwnMemory({ args, origin }: QemuOption, options: readonly QemuOption[], report: Report): void {
  const memory = options.find(
    (option) =>
      option.name === 'object' &&
      typeof option.args === 'object' &&
      String(option.args['qom-type']).startsWith('memory-backend-') &&
      option.args['id'] === 'ram' &&
      option.args['share'] !== true,
  );
  if (memory)
    report({
      severity: 'error',
      code: 'memory-unshared',
      message: `${(args as QemuProps)['id']} takes a program that works in the guest's memory, which is not shared`,
      origin,
      help: `write \`share: on\`${memory.origin ? ` at ${formatOrigin(memory.origin)}` : ' for the memory'}, or leave it out`,
    });
}

/** `device:net0`, or `machine` for what has no id. */
export function targetOf(option: QemuOption): string {
  if (typeof option.args !== 'object') return option.name;
  const id = option.args['id'] ?? option.args['node-name'];
  return id === undefined ? option.name : `${option.name}:${id}`;
}

/** Applies `qemu.set` and appends `qemu.args`. */
export function applyOverrides(options: readonly QemuOption[], overrides: QemuOverrides, report: Report): QemuOption[] {
  const patched = [...options];
  for (const { target, props, origin } of overrides.set) {
    const index = patched.findIndex((option) => targetOf(option) === target);
    const option = patched[index];
    if (!option || typeof option.args !== 'object') {
      const targets = patched.filter(({ args }) => typeof args === 'object').map(targetOf);
      report({
        severity: 'error',
        code: 'target-unknown',
        message: `qemu.set: no option ${JSON.stringify(target)} is emitted`,
        origin,
        help: suggestion(target, targets) ?? `there are ${[...new Set(targets)].join(' ')}`,
      });
      continue;
    }
    patched[index] = { ...option, args: patchProps(option.args, props), asText: true, origin };
  }
  return [...alikeDevices(patched), ...rawOptions(overrides.args, report)];
}

/** QEMU makes devices written as key=value before those in JSON, on buses that are then not there yet. */
function alikeDevices(options: readonly QemuOption[]): QemuOption[] {
  const isDevice = ({ name }: QemuOption): boolean => name === 'device';
  if (!options.some((option) => isDevice(option) && option.asText)) return [...options];
  return options.map((option) => (isDevice(option) ? { ...option, asText: true } : option));
}

function patchProps(props: QemuProps, patch: PropsPatch): QemuProps {
  const result: { [key: string]: QemuValue } = { ...props };
  for (const [key, change] of Object.entries(patch)) {
    const before = result[key] ?? {};
    if (change === null) delete result[key];
    else if (typeof change !== 'object' || Array.isArray(change)) result[key] = change as QemuValue;
    else
      result[key] = patchProps(
        typeof before === 'object' && !Array.isArray(before) ? (before as QemuProps) : {},
        change as PropsPatch,
      );
  }
  return result;
}

/**
 * What key=value syntax cannot say, and would take for something else: strange names of properties, and a comma in
 * `-cpu`, which alone among QEMU's options knows no doubled commas.
 */
export function findUnspeakable(options: readonly QemuOption[], report: Report): void {
  for (const { name, args, origin } of options) {
    if (typeof args !== 'object') continue;
    for (const [key, value] of Object.entries(args)) {
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

/** Words of the user's own, each `-option` taking the words up to the next. */
function rawOptions(words: QemuOverrides['args'], report: Report): QemuOption[] {
  const options: QemuOption[] = [];
  for (const { word, origin } of words) {
    const last = options.at(-1);
    if (/^--?daemonize$/.test(word))
      report({
        severity: 'error',
        code: 'argument-refused',
        message: 'qemu.args: -daemonize would hide QEMU from ezvm, which lets it run in the background anyway',
        origin,
        help: 'leave it out',
      });
    else if (/^-{1,2}[a-z]/i.test(word)) options.push({ name: word.slice(1), args: true, origin });
    else if (last?.args === true) options[options.length - 1] = { ...last, args: word };
    else
      report({
        severity: 'error',
        code: 'argument-stray',
        message: `qemu.args: ${JSON.stringify(word)} follows no option`,
        origin,
        help: 'write each option and its value as two items: ["-foo", "bar"]',
      });
  }
  return options;
}

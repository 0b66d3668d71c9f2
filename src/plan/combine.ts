import { suggestion } from '../catalog/params.ts';
import type { Diagnostic, Report } from '../core/diagnostic.ts';
import { formatOrigin } from '../core/origin.ts';
import type { PropsPatch, QemuOverrides } from '../model/spec.ts';
import { propsOf, type QemuOption, type QemuProps, type QemuValue } from '../qemu/option.ts';

/** Options that QEMU takes once; several devices may have something to say in them. */
const SINGLETONS = new Set(['machine', 'accel', 'cpu', 'smp', 'm', 'rtc', 'boot', 'name', 'spice']);

/** Which option of all it is one with: of those that QEMU takes once, and of limits that several disks share. */
function nameOf(option: QemuOption): string | undefined {
  if (SINGLETONS.has(option.name)) return option.name;
  const { 'qom-type': type, id } = propsOf(option);
  return type === 'throttle-group' ? `throttle-group ${id}` : undefined;
}

/** Joins what several devices say in options that exist once; two different values for one property are a fault. */
export function mergeSingletons(options: readonly QemuOption[], report: Report): QemuOption[] {
  const merged: QemuOption[] = [];
  const sources = new Map<string, QemuOption>();
  for (const option of options) {
    const own = nameOf(option);
    const index = own === undefined ? -1 : merged.findIndex((other) => nameOf(other) === own);
    const before = merged[index];
    for (const [key, value] of Object.entries(propsOf(option))) {
      const source = sources.get(`${own} ${key}`);
      if (before && source && !isSame(propsOf(source)[key], value)) report(conflict(option, key, source));
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
    message: `-${option.name} ${key} is wanted as ${JSON.stringify(propsOf(option)[key])} here and as ${JSON.stringify(propsOf(other)[key])}${elsewhere}`,
    origin: option.origin,
    help: 'change one of the two',
  };
}

/** `device:net0`, or `machine` for what has no id. */
export function targetOf(option: QemuOption): string {
  const props = propsOf(option);
  const id = props['id'] ?? props['node-name'];
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
    else if (/^--?snapshot$/.test(word))
      report({
        severity: 'error',
        code: 'argument-refused',
        message: 'qemu.args: -snapshot changes nothing for disks that QEMU is given by -blockdev, as all of ezvm are',
        origin,
        help: 'write `snapshot: on` for each disk that is to stay as it is',
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

import { compareVersions, type QemuOption, type QemuProps, type QemuValue, type QemuVersion } from './option.ts';

/** `json` is unambiguous; `keyval` is for people. QEMU takes either. */
export type Style = 'json' | 'keyval';

/** Options that take JSON, with the QEMU that brought it; older ones get key=value. */
const JSON_SINCE: { readonly [option: string]: QemuVersion } = {
  audiodev: { major: 6, minor: 2, micro: 0 },
  blockdev: { major: 6, minor: 2, micro: 0 },
  device: { major: 6, minor: 2, micro: 0 },
  object: { major: 6, minor: 2, micro: 0 },
  // qapi/net.json learned it together with the stream and dgram back-ends.
  netdev: { major: 7, minor: 2, micro: 0 },
};

/** The key that a bare first word of an option stands for. */
const IMPLIED_KEY: { readonly [option: string]: string } = {
  accel: 'accel',
  audiodev: 'driver',
  blockdev: 'driver',
  chardev: 'backend',
  cpu: 'model',
  device: 'driver',
  display: 'type',
  fsdev: 'fsdriver',
  machine: 'type',
  netdev: 'type',
  object: 'qom-type',
  sandbox: 'enable',
  tpmdev: 'type',
};

/** A word that means the same with and without its key in front. */
const BARE = /^[A-Za-z0-9_.+-]+$/;

/** The words of one option: `['-device', '{"driver":…}']`. */
export function renderOption(option: QemuOption, style: Style, version: QemuVersion): readonly string[] {
  const { name, args } = option;
  if (args === true) return [`-${name}`];
  if (typeof args === 'string') return [`-${name}`, args];
  const since = JSON_SINCE[name];
  if (((style === 'json' && !option.asText) || needsJson(name, args)) && since && compareVersions(version, since) >= 0)
    return [`-${name}`, toJson(args)];
  return [`-${name}`, renderKeyval(name, args)];
}

/** QEMU misreads maps within objects when they are dotted keys: "Invalid parameter 'limits.iops-total-max'" (7.2 to 11.1). */
function needsJson(name: string, args: QemuProps): boolean {
  return name === 'object' && Object.values(args).some((value) => typeof value === 'object' && !Array.isArray(value));
}

/** The whole command line after the program's name. */
export function renderOptions(options: readonly QemuOption[], style: Style, version: QemuVersion): string[] {
  return options.flatMap((option) => renderOption(option, style, version));
}

/** Quotes within a string are escaped, so what looks like a wide integer is one. */
function toJson(args: QemuProps): string {
  return JSON.stringify(args).replace(/\{"u64":"(0x[0-9a-f]{1,16})"\}/g, (_, hex: string) => String(BigInt(hex)));
}

function renderKeyval(name: string, args: QemuProps): string {
  const implied = IMPLIED_KEY[name];
  return Object.entries(args)
    .flatMap(([key, value]) => (name === 'object' && Array.isArray(value) ? repeated(key, value) : pairs(key, value)))
    .map(([key, value], index) => {
      const text = value.replaceAll(',', ',,');
      return index === 0 && key === implied && BARE.test(value) ? text : `${key}=${text}`;
    })
    .join(',');
}

/** Nested maps become dotted keys, lists numbered ones; lists of `{ str }` are how QAPI spells a repeated key. */
function pairs(key: string, value: QemuValue): [string, string][] {
  if (typeof value === 'boolean') return [[key, value ? 'on' : 'off']];
  if (typeof value !== 'object') return [[key, String(value)]];
  if (isWideInteger(value)) return [[key, value.u64]];
  if (!Array.isArray(value)) return Object.entries(value).flatMap(([inner, item]) => pairs(`${key}.${inner}`, item));
  if (value.every(isWrappedString)) return value.map((item) => [key, item.str]);
  return value.flatMap((item, index) => pairs(`${key}.${index}`, item));
}

/** `-object` is read by QEMU's older parser, which knows no numbered keys (tried up to 11.1). */
function repeated(key: string, values: readonly QemuValue[]): [string, string][] {
  return values.flatMap((value) => pairs(key, value));
}

function isWrappedString(value: QemuValue): value is { readonly str: string } {
  return isWrapped(value, 'str');
}

/** Whether a value is a whole number too large for JavaScript, in hexadecimal. */
export function isWideInteger(value: QemuValue): value is { readonly u64: string } {
  return isWrapped(value, 'u64');
}

function isWrapped(value: QemuValue, key: 'str' | 'u64'): boolean {
  return (
    typeof value === 'object' &&
    !Array.isArray(value) &&
    Object.keys(value).join() === key &&
    typeof (value as QemuProps)[key] === 'string'
  );
}

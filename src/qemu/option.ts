import type { Origin } from '../core/origin.ts';

/** A property value of a QEMU option. `size` and `int` are numbers, switches are booleans; what is too large for a number is `{ u64: '0x…' }`. */
export type QemuValue = string | number | boolean | readonly QemuValue[] | { readonly [key: string]: QemuValue };

/** The properties of an option, by name. */
export type QemuProps = { readonly [key: string]: QemuValue };

/**
 * One option of QEMU's command line, not yet text.
 * `args` is the property list of `-device` and its like, the bare word of options like `-kernel`, and `true` for flags
 * such as `-nodefaults`.
 */
export interface QemuOption {
  /** Without the dash. */
  readonly name: string;
  readonly args: QemuProps | string | true;
  /** Rendered as key=value wherever that can say it: QEMU itself reads what somebody wrote by hand, `off` or `4M` or `0x10`. */
  readonly asText?: true;
  /** What asked for it; absent for what ezvm adds to every VM. */
  readonly origin?: Origin | undefined;
}

/** The properties of an option; none where its arguments are a word or a flag. */
export function propsOf({ args }: QemuOption): QemuProps {
  return typeof args === 'object' ? args : {};
}

/** QEMU's version, as `query-version` gives it. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
}

/** Taken where no QEMU is installed, so that a plan can be made and read all the same. */
export const ASSUMED_VERSION: QemuVersion = { major: 10, minor: 0, micro: 0 };

/** -1, 0 or 1; `micro` counts. */
export function compareVersions(a: QemuVersion, b: QemuVersion): number {
  return Math.sign(a.major - b.major || a.minor - b.minor || a.micro - b.micro);
}

/** Reads `8`, `8.1` or `8.1.2`; missing parts are 0. */
export function parseVersion(text: string): QemuVersion | undefined {
  const match = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(text);
  return match ? { major: Number(match[1]), minor: Number(match[2] ?? 0), micro: Number(match[3] ?? 0) } : undefined;
}

/** All three numbers: `8.1.0`. */
export function formatVersion(version: QemuVersion): string {
  return `${version.major}.${version.minor}.${version.micro}`;
}

import type { Diagnostic, Report } from '../core/diagnostic.ts';
import { formatOrigin, type Origin } from '../core/origin.ts';

interface Placed {
  readonly origin?: Origin | undefined;
}

/** What is to be had once and wanted twice, with both places. */
export function twice(code: string, message: string, { origin }: Placed, other: Placed): Diagnostic {
  const elsewhere = other.origin && origin && formatOrigin(other.origin) !== formatOrigin(origin);
  return {
    severity: 'error',
    code,
    message,
    origin,
    help: `change one of the two${elsewhere ? `; the other is at ${formatOrigin(other.origin)}` : ''}`,
  };
}

/**
 * Reports each of `all` that is one with another before it.
 * @param keyOf what two must not share; undefined for what is of no interest
 * @param say the message; undefined where these two may share it all the same
 */
export function findTwice<T extends Placed>(
  all: readonly T[],
  code: string,
  keyOf: (one: T) => string | undefined,
  say: (key: string, one: T, other: T) => string | undefined,
  report: Report,
): void {
  const owners = new Map<string, T>();
  for (const one of all) {
    const key = keyOf(one);
    if (key === undefined) continue;
    const other = owners.get(key);
    const message = other && say(key, one, other);
    if (message !== undefined) report(twice(code, message, one, other as T));
    owners.set(key, one);
  }
}

import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { isRecord } from '../core/json.ts';

/** Something that root opened before it became the user that this process runs as. */
export interface Inherited {
  /** Its number in this process. */
  readonly fd: number;
  readonly path: string;
  readonly access: 'read' | 'write';
  readonly direct: boolean;
  /** Held for one guest alone. */
  readonly exclusive: boolean;
}

/** Where root tells us of it: our own command line belongs to the user. */
export const INHERITED = 'EZVM_INHERITED';

/** What this process was handed when it was started; nothing unless by root's ezvm. */
export function findInherited(): readonly Inherited[] {
  const text = process.env[INHERITED];
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.filter(isInherited) : [];
  } catch {
    return [];
  }
}

/** The inherited descriptor that serves as a planned one. */
export function inheritedFor({ path, access, direct, exclusive }: Omit<Inherited, 'fd'>): Inherited | undefined {
  return findInherited().find(
    (one) => one.path === path && one.access === access && one.direct === direct && one.exclusive === exclusive,
  );
}

function isInherited(value: unknown): value is Inherited {
  return isRecord(value) && Number.isInteger(value['fd']) && (value['fd'] as number) > 2;
}

/** O_CLOEXEC as Linux has it. */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * Closes what our caller left open and what every program that we start would get: Node itself sees to these only up to
 * the first number above 15 that is not open, and whatever it opens is closed on exec.
 */
export function closeStrays(): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) if (fd > 2 && isKeptOnExec(fd)) closeSync(fd);
}

function isKeptOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0;
  } catch (error) {
    // The directory's own descriptor is gone when the list has been read.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import { formatSize } from '../core/size.ts';
import type { RequirementOf } from '../plan/plan.ts';
import { reasonOf } from './host-fault.ts';

/** Whether a file that is to be made can be, and has room: all of it at once, or as it grows. */
export function checkRoom({ path, made, origin }: RequirementOf<'path'>): Diagnostic | undefined {
  const directory = dirname(path);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    return {
      severity: 'error',
      code: 'path-denied',
      message: `${path} cannot be created: ${directory}: ${reasonOf(error)}`,
      help: `make the directory, or see its owner and mode with: ls -ld ${directory}`,
      origin,
    };
  }
  const { bavail, bsize } = statfsSync(directory);
  const { bytes = 0, atOnce = false } = made ?? {};
  const room = bavail * bsize;
  if (room >= bytes) return undefined;
  const free = `${(room / 1024 ** 3).toFixed(1)}G`;
  return {
    severity: atOnce ? 'error' : 'warning',
    code: 'room-short',
    message: atOnce
      ? `the disk ${path} takes ${formatSize(bytes)}, and ${free} are free in ${directory}`
      : `the disk ${path} may grow to ${formatSize(bytes)}, and ${free} are free in ${directory}`,
    help: atOnce
      ? 'free some space, or leave out `preallocation`'
      : 'free some space before it is full, or make the disk smaller',
    origin,
  };
}

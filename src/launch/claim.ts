import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { tryFlock } from '../admin/lock.ts';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import type { Claim } from '../plan/plan.ts';
import { reasonOf } from './host-fault.ts';
import { findHolder, type Holder } from './image-lock.ts';
import { poll } from './poll.ts';

/** Milliseconds for whoever has it for a moment, to look at it or to hand it on to the program that is to have it. */
const PATIENCE = 2000;

/**
 * Takes something as `takeClaim` does, and waits where nobody seems to keep it.
 * @throws EzvmError exit 3 when it is taken already, as soon as it is known which VM has it
 */
export async function awaitClaim(claim: Claim, runRoot: string): Promise<number> {
  let found: number | Stats | undefined;
  let holder: Holder | undefined;
  const look = (): boolean => {
    found = tryClaim(claim);
    holder = typeof found === 'number' ? undefined : findHolder(found, runRoot);
    return typeof found === 'number' || holder?.vm !== undefined;
  };
  await poll(look, PATIENCE, new Promise(() => {}));
  if (typeof found === 'number') return found;
  throw taken(claim, holder);
}

/**
 * Takes something of the host for one VM alone, for as long as whoever has the descriptor lives: a block device as disks are
 * taken, anything else by flock(2). A file that is missing is made.
 * @throws EzvmError exit 3 when it is taken already
 */
export function takeClaim(claim: Claim): number {
  const found = tryClaim(claim);
  if (typeof found === 'number') return found;
  throw taken(claim, findHolder(found));
}

/** A descriptor of it, or what is there and taken already. */
function tryClaim({ path, origin }: Claim): number | Stats {
  let fd: number;
  try {
    fd = openSync(path, flagsFor(statSync(path, { throwIfNoEntry: false })), 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EBUSY') return statSync(path);
    throw fault(EXIT.host, 'path-denied', `${path} cannot be opened: ${reasonOf(error)}`, { origin });
  }
  return tryLockOpen(fd, path);
}

/**
 * Takes an open file for one VM alone, and closes it where that fails; a block device is not locked, its `O_EXCL` is enough.
 * @throws EzvmError exit 3 when it is taken already
 */
export function lockOpen(fd: number, claim: Claim): number {
  const found = tryLockOpen(fd, claim.path);
  if (typeof found === 'number') return found;
  throw taken(claim, findHolder(found));
}

function tryLockOpen(fd: number, path: string): number | Stats {
  const stat = fstatSync(fd);
  if (stat.isBlockDevice() || tryFlock(fd, path)) return fd;
  closeSync(fd);
  return stat;
}

function flagsFor(stat: Stats | undefined): number {
  const access = stat?.isDirectory() ? constants.O_RDONLY : constants.O_RDWR;
  const more = stat === undefined ? constants.O_CREAT : stat.isBlockDevice() ? constants.O_EXCL : 0;
  return access | more | constants.O_NONBLOCK | constants.O_NOCTTY;
}

function taken({ path, origin }: Claim, holder: Holder | undefined): EzvmError {
  return fault(EXIT.host, 'claimed', `${path} is in use by ${holder?.text ?? 'another program'}`, {
    help: 'end that first, or give this VM another: two that use it would ruin it',
    origin,
  });
}

import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { tryFlock } from '../admin/lock.ts';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import type { Claim } from '../plan/plan.ts';
import { reasonOf } from './host-fault.ts';
import { findHolder } from './image-lock.ts';

/**
 * Takes something of the host for one VM alone, for as long as whoever has the descriptor lives: a block device as disks are
 * taken, anything else by flock(2). A file that is missing is made.
 * @param runRoot where the runs of this user's VMs are found, so that a program beside QEMU is known for whose it is
 * @throws EzvmError exit 3 when it is taken already
 */
export function takeClaim({ path, origin }: Claim, runRoot?: string): number {
  let fd: number;
  try {
    fd = openSync(path, flagsFor(statSync(path, { throwIfNoEntry: false })), 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EBUSY') throw taken({ path, origin }, statSync(path), runRoot);
    throw fault(EXIT.host, 'path-denied', `${path} cannot be opened: ${reasonOf(error)}`, { origin });
  }
  return lockOpen(fd, { path, origin }, runRoot);
}

/**
 * Takes an open file for one VM alone, and closes it where that fails; a block device is not locked, its `O_EXCL` is enough.
 * @throws EzvmError exit 3 when it is taken already
 */
export function lockOpen(fd: number, claim: Claim, runRoot?: string): number {
  const stat = fstatSync(fd);
  if (stat.isBlockDevice() || tryFlock(fd, claim.path)) return fd;
  closeSync(fd);
  throw taken(claim, stat, runRoot);
}

function flagsFor(stat: Stats | undefined): number {
  const access = stat?.isDirectory() ? constants.O_RDONLY : constants.O_RDWR;
  const more = stat === undefined ? constants.O_CREAT : stat.isBlockDevice() ? constants.O_EXCL : 0;
  return access | more | constants.O_NONBLOCK | constants.O_NOCTTY;
}

function taken({ path, origin }: Claim, stat: Stats, runRoot: string | undefined): EzvmError {
  const holder = findHolder(stat, runRoot) ?? 'another program';
  return fault(EXIT.host, 'claimed', `${path} is in use by ${holder}`, {
    help: 'end that first, or give this VM another: two that use it would ruin it',
    origin,
  });
}

import { closeSync, constants, fchmodSync, ftruncateSync, lstatSync, openSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import { formatSize } from '../core/size.ts';
import type { MemoryFile } from '../plan/plan.ts';
import { lockOpen, takeClaim } from './claim.ts';
import type { Start } from './start.ts';

/**
 * Looks whether a memory file can be made, and changes nothing.
 * @returns a descriptor that claims what an earlier run left there, which the caller closes; undefined where nothing is
 * @throws EzvmError exit 3 when it is another's, in use, or finds no room
 */
export function claimStale({ path, size, origin }: MemoryFile): number | undefined {
  const folder = dirname(path);
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw fault(EXIT.host, 'path-missing', `the directory ${folder} does not exist`, {
      help: 'name a file in /dev/shm itself',
      origin,
    });
  const stale = lstatSync(path, { throwIfNoEntry: false });
  // Everybody may make files there: one of somebody else's would let him watch, and change what the guest shows.
  if (stale && (!stale.isFile() || stale.uid !== process.geteuid?.() || stale.nlink > 1))
    throw fault(EXIT.host, 'path-denied', `${path} is there, and not a plain file of your own`, {
      help: 'give `device` another name, or have its owner remove it',
      origin,
    });
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize + (stale?.blocks ?? 0) * 512 < size)
    throw fault(EXIT.host, 'memory-short', `${folder} has no room for ${formatSize(size)} of shared memory`, {
      help: `see what takes it: ls -l ${folder}`,
      origin,
    });
  return stale && takeClaim({ path, origin });
}

/**
 * Makes a memory file and claims it for the VM's QEMU.
 * @throws EzvmError exit 3 when it is another's, in use, or finds no room
 */
export async function makeMemoryFile(start: Start, file: MemoryFile): Promise<void> {
  const { path, size, mode, origin } = file;
  const name = basename(path);
  const stale = claimStale(file);
  try {
    await start.step(`memory ${name}: intend`);
    start.journal.record({ change: 'temporary', path });
    await start.step(`memory ${name}: make`);
    // A new file, whose size is right and which holds nothing of an earlier run.
    rmSync(path, { force: true });
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
    start.claims.set(path, lockOpen(fd, { path, origin }));
    fchmodSync(fd, mode);
    ftruncateSync(fd, size);
  } finally {
    if (stale !== undefined) closeSync(stale);
  }
  await start.step(`memory ${name}: made`);
}

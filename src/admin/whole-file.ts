import { chmodSync, chownSync, closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

/** Readers see the old file or the new, and a host that loses power keeps one of the two. */
export function writeWhole(
  path: string,
  bytes: Uint8Array,
  mode: number,
  owner?: { readonly uid: number; readonly gid: number },
): void {
  const temporary = `${path}.ezvm-new`;
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  // In this order: a change of owner takes the setuid bit away.
  if (owner) chownSync(temporary, owner.uid, owner.gid);
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

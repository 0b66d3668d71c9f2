import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { inheritedFor } from '../host/inherited.ts';
import type { Descriptor } from '../plan/planned-qemu.ts';
import { lockOpen } from './claim.ts';
import { reasonOf } from './host-fault.ts';

/** An open file of ours, and its number in the child that gets it. */
export interface Handed {
  readonly fd: number;
  readonly from: number;
}

/**
 * Opens what QEMU is to be handed and nobody else opens for it.
 * @param made what steps have opened, by path; they are closed with the others
 * @throws EzvmError exit 3 at the first that cannot be opened as planned; nothing is left open then
 */
export function openDescriptors(descriptors: readonly Descriptor[], made = new Map<string, number>()): Handed[] {
  const handed: Handed[] = [];
  try {
    for (const descriptor of descriptors) {
      const { fd, path, opener } = descriptor;
      const from = opener === undefined ? openDescriptor(descriptor) : opener === 'step' ? made.get(path) : undefined;
      made.delete(path);
      if (from !== undefined) handed.push({ fd, from });
    }
    return handed;
  } catch (error) {
    closeHanded(handed);
    throw error;
  }
}

/** Closes our own side of what was handed over. */
export function closeHanded(handed: readonly Handed[]): void {
  for (const { from } of handed) closeSync(from);
}

function openDescriptor(descriptor: Descriptor): number {
  const { path, type, access, direct, exclusive, origin } = descriptor;
  // Without O_NONBLOCK a drive without a medium, or a FIFO in the device's place, would keep us waiting.
  let flags = (access === 'write' ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NOCTTY | constants.O_NONBLOCK;
  if (direct) flags |= constants.O_DIRECT;
  // On a block device O_EXCL without O_CREAT is a claim that mounts, swap, LVM and other VMs respect, and we theirs.
  if (exclusive && type === 'block') flags |= constants.O_EXCL;
  let opened = inheritedFor(descriptor)?.fd;
  try {
    opened ??= openSync(path, flags);
  } catch (error) {
    throw refused(descriptor, error as NodeJS.ErrnoException);
  }
  const stat = fstatSync(opened);
  if (type === 'block' ? stat.isBlockDevice() : stat.isCharacterDevice())
    return exclusive ? lockOpen(opened, descriptor) : opened;
  closeSync(opened);
  throw fault(EXIT.host, 'path-wrong-kind', `${path} is no ${type} device`, { origin });
}

function refused({ path, direct, exclusive, origin }: Descriptor, error: NodeJS.ErrnoException): EzvmError {
  if (error.code === 'EBUSY' && exclusive)
    return fault(EXIT.host, 'device-busy', `${path} is in use by the host or by another VM`, {
      help: `see what is on it (file system, swap, LVM, RAID, encryption): lsblk ${path}`,
      origin,
    });
  if (error.code === 'EINVAL' && direct)
    return fault(EXIT.host, 'device-refused', `${path} cannot be used around the host's cache`, {
      help: 'write `cache: writeback`',
      origin,
    });
  return fault(EXIT.host, 'device-refused', `${path} cannot be opened: ${reasonOf(error)}`, {
    help: error.code === 'EACCES' ? 'let a group of your own have it: ezvm setup group' : undefined,
    origin,
  });
}

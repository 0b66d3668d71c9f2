import type { ScalarNode } from '../../core/source.ts';
import type { Values } from './drive.ts';
import { scalar } from './translation.ts';

const NBD = /^nbds?(?:\+tcp)?:\/\/(\[[^\]]*\]|[^/:?]+)(?::(\d+))?(?:\/([^?]*))?$/;
const NBD_UNIX = /^nbds?\+unix:\/\/\/([^?]*)\?socket=(.+)$/;
const ISCSI = /^iscsi:\/\/(?:[^/@]*@)?([^/]+)\/([^/]+)\/(\d+)$/;
const FOLDER = /^fat:(?:(12|16):)?((?:rw:)?)(?:(12|16):)?(.+)$/;
/** A path may say that it is one. */
export function plainPath(file: ScalarNode): ScalarNode {
  return { ...file, value: String(file.value).replace(/^file:/, '') };
}

/**
 * What a disk is made of: to QEMU, and so to ezkvm, `file` may be an address.
 * @returns the type and its own keys, where ezvm has one; undefined where it is a path, or nothing that ezvm takes
 */
export function readMedium(file: ScalarNode): Values | undefined {
  const address = String(file.value);
  const as = (type: string, values: { readonly [key: string]: string | number | boolean | undefined }): Values => ({
    type: scalar(file.at, type),
    ...Object.fromEntries(
      Object.entries(values).flatMap(([key, value]) =>
        value === undefined || value === '' ? [] : [[key, scalar(file.at, value)]],
      ),
    ),
  });
  const [isNbd, host, port, name] = NBD.exec(address) ?? [];
  if (isNbd !== undefined && !address.startsWith('nbds'))
    return as('nbd-tcp', { host: bare(host), port, export: name });
  const [isSocket, exported, path] = NBD_UNIX.exec(address) ?? [];
  if (isSocket !== undefined && !address.startsWith('nbds')) return as('nbd', { path, export: exported });
  const [isTarget, portal, target, lun] = ISCSI.exec(address) ?? [];
  if (isTarget !== undefined && !isTarget.includes('@')) return as('iscsi', { portal, target, lun });
  const [isFolder, before, rw, after, dir] = FOLDER.exec(address) ?? [];
  if (isFolder !== undefined) return as('vvfat', { dir, 'fat-type': before ?? after, 'read-only': rw === '' });
  return undefined;
}

/** An address of IPv6 is in brackets in a URL, and nowhere else. */
function bare(host: string | undefined): string | undefined {
  return host?.replace(/^\[(.*)\]$/, '$1');
}

import { accessSync, constants, existsSync, type Stats, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import { groupName } from '../host/group.ts';
import type { RequirementOf } from '../plan/plan.ts';
import { checkSecret, holdsSomethingElse } from './contents.ts';
import { reasonOf } from './host-fault.ts';
import { findImageUser } from './image-lock.ts';
import { checkRoom } from './room.ts';

type PathRequirement = RequirementOf<'path'>;

/** Looks whether what a VM needs of the file system is there, is of its kind, and can be used by nobody else at once. */
export function checkPath(requirement: PathRequirement): Diagnostic | undefined {
  const { path, type, access, origin } = requirement;
  const error = (code: string, message: string, help?: string): Diagnostic => ({
    severity: 'error',
    code,
    message,
    help: requirement.help ?? help,
    origin,
  });
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      if (requirement.made) return checkRoom(requirement);
      const parent = dirname(path);
      const reason = existsSync(parent) ? '' : `, nor does the directory ${parent}`;
      return error(
        'path-missing',
        `${describe(type)} ${path} does not exist${reason}`,
        'correct the path, or create it',
      );
    }
    return error(
      'path-denied',
      `${describe(type)} ${path} cannot be reached: ${reasonOf(cause)}`,
      `see: namei -l ${path}`,
    );
  }
  const kind = kindOf(stat);
  if (!ACCEPTED[type].includes(kind))
    return error('path-wrong-kind', `${path} is a ${kind}; wanted is a ${describe(type)}`, 'correct the path');
  try {
    accessSync(path, access === 'write' ? constants.R_OK | constants.W_OK : constants.R_OK);
  } catch (cause) {
    return error(
      'path-denied',
      `${describe(type)} ${path} cannot be ${access === 'write' ? 'written' : 'read'}: ${reasonOf(cause)}`,
      requirement.helper === undefined
        ? permissionHelp(path, stat, access)
        : `let a group of yours have it: sudo ezvm setup group; or ${requirement.helper}`,
    );
  }
  if (type === 'secret') return checkSecret(requirement, stat);
  if (type === 'tpm-state' && holdsSomethingElse(path))
    return error(
      'path-refused',
      `${path} holds something else than the state of a TPM, and would be overwritten`,
      'name a file that does not exist, which is made',
    );
  for (const name of requirement.holds ?? []) {
    const { holds: _, ...common } = requirement;
    const missing = checkPath({ ...common, path: join(path, name), type: 'file' });
    if (missing) return missing;
  }
  const user = type === 'image' && stat.isFile() ? findImageUser(stat, access) : undefined;
  if (user === undefined) return undefined;
  return error('image-busy', `${path} is in use by ${user}`, 'end that first: two that use one image would ruin it');
}

const ACCEPTED: { readonly [type in PathRequirement['type']]: readonly string[] } = {
  file: ['file'],
  secret: ['file'],
  'tpm-state': ['file', 'directory', 'block device'],
  device: ['block device', 'character device'],
  image: ['file', 'block device'],
  directory: ['directory'],
  socket: ['socket'],
};

function describe(type: string): string {
  if (type === 'tpm-state') return 'file, directory or block device';
  return type === 'image' ? 'disk image' : type === 'secret' ? 'file' : type;
}

function kindOf(stat: Stats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isBlockDevice()) return 'block device';
  if (stat.isCharacterDevice()) return 'character device';
  return stat.isSocket() ? 'socket' : 'pipe';
}

function permissionHelp(path: string, stat: Stats, access: 'read' | 'write'): string {
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
  const groupBits = access === 'write' ? 0o060 : 0o040;
  const group = groupName(stat.gid);
  const owned = `it belongs to user ${stat.uid}, group ${group}, with mode ${mode}`;
  const groupHelps = stat.gid !== 0 && (stat.mode & groupBits) === groupBits;
  return groupHelps
    ? `${owned}: join that group with \`sudo usermod -aG ${group} $USER\` and log in again`
    : `${owned}; see: ls -l ${path}`;
}

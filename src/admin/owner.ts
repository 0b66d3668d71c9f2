import { lstatSync } from 'node:fs';
import { namesIn } from '../host/reading.ts';

/**
 * The users of this machine who have a VM of that name up, by number: those whose run directories are where they usually are.
 * @param root before every path, for a host that is described by files
 */
export function findOwners(name: string, root = ''): number[] {
  const places = [
    ...numbered(`${root}/run/user`, /^(\d+)$/).map(({ uid, path }) => ({ uid, dir: `${path}/ezvm` })),
    ...numbered(`${root}/tmp`, /^ezvm-(\d+)$/).map(({ uid, path }) => ({ uid, dir: path })),
  ];
  const found = places.filter(({ uid, dir }) => [dir, `${dir}/${name}`].every((path) => isDirOf(path, uid)));
  return [...new Set(found.map(({ uid }) => uid))];
}

function numbered(folder: string, pattern: RegExp): { uid: number; path: string }[] {
  return namesIn(folder).flatMap((name) => {
    const uid = pattern.exec(name)?.[1];
    return uid === undefined ? [] : [{ uid: Number(uid), path: `${folder}/${name}` }];
  });
}

function isDirOf(path: string, uid: number): boolean {
  try {
    const found = lstatSync(path);
    return found.isDirectory() && found.uid === uid;
  } catch {
    return false;
  }
}

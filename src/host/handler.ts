import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where GLib looks: the cache that update-desktop-database makes of `.desktop` files, and what people have chosen. */
const LISTS = ['applications/mimeinfo.cache', 'applications/mimeapps.list'];

/** Whether the desktop has a program for addresses of a scheme. Never throws. */
export function hasHandler(scheme: string, env: Readonly<Record<string, string | undefined>>): boolean {
  const home = env['HOME'] ?? '/';
  const data = env['XDG_DATA_HOME'] || join(home, '.local/share');
  const dirs = [data, ...(env['XDG_DATA_DIRS'] || '/usr/local/share:/usr/share').split(':')];
  const chosen = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'mimeapps.list');
  const lists = [chosen, ...dirs.flatMap((dir) => LISTS.map((list) => join(dir, list)))];
  return lists.some((list) => linesOf(list).some((line) => line.startsWith(`x-scheme-handler/${scheme}=`)));
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

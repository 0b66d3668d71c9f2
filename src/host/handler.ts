import { join } from 'node:path';
import { textIn } from './reading.ts';

/** Where GLib looks: the cache that update-desktop-database makes of `.desktop` files, and what people have chosen. */
const LISTS = ['applications/mimeinfo.cache', 'applications/mimeapps.list'];

/** Whether the desktop has a program for addresses of a scheme. Never throws. */
export function hasHandler(scheme: string, env: Readonly<Record<string, string | undefined>>): boolean {
  const home = env['HOME'] ?? '/';
  const data = env['XDG_DATA_HOME'] || join(home, '.local/share');
  const dirs = [data, ...(env['XDG_DATA_DIRS'] || '/usr/local/share:/usr/share').split(':')];
  const chosen = join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'mimeapps.list');
  const lists = [chosen, ...dirs.flatMap((dir) => LISTS.map((list) => join(dir, list)))];
  return lists.some((list) =>
    textIn(list)
      .split('\n')
      .some((line) => line.startsWith(`x-scheme-handler/${scheme}=`)),
  );
}

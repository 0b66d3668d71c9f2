import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether the desktop has a program for addresses of a scheme, as its `.desktop` files say. Never throws. */
export function hasHandler(scheme: string, env: Readonly<Record<string, string | undefined>>): boolean {
  const home = env['XDG_DATA_HOME'] || join(env['HOME'] ?? '/', '.local/share');
  const dirs = [home, ...(env['XDG_DATA_DIRS'] || '/usr/local/share:/usr/share').split(':')];
  return dirs.some((dir) => filesIn(join(dir, 'applications')).some((file) => handles(file, scheme)));
}

function filesIn(dir: string): string[] {
  try {
    const names = readdirSync(dir, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.desktop')).map((name) => join(dir, name));
  } catch {
    return [];
  }
}

function handles(file: string, scheme: string): boolean {
  try {
    const types = /^MimeType=(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]?.trim().split(';') ?? [];
    return types.includes(`x-scheme-handler/${scheme}`);
  } catch {
    return false;
  }
}

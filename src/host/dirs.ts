import { statSync } from 'node:fs';
import type { HostDirs } from './facts.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where ezvm keeps things for this user, by the XDG base directories. */
export function findDirs(env: Environment, user: { readonly uid: number; readonly home: string }): HostDirs {
  const base = (variable: string, fallback: string): string => {
    const value = env[variable];
    // The specification says to ignore relative ones.
    return `${value?.startsWith('/') ? value.replace(/\/+$/, '') : `${user.home}/${fallback}`}/ezvm`;
  };
  const runtime = env['XDG_RUNTIME_DIR'];
  return {
    run:
      runtime?.startsWith('/') && !belongsToOther(runtime, user.uid)
        ? `${runtime.replace(/\/+$/, '')}/ezvm`
        : user.uid === 0
          ? '/run/ezvm'
          : `/tmp/ezvm-${user.uid}`,
    state: base('XDG_STATE_HOME', '.local/state'),
    cache: base('XDG_CACHE_HOME', '.cache'),
    config: base('XDG_CONFIG_HOME', '.config'),
  };
}

/** After `su` or `sudo` the variable may name the directory of the user who called it. */
function belongsToOther(dir: string, uid: number): boolean {
  try {
    const found = statSync(dir, { throwIfNoEntry: false });
    return found !== undefined && found.uid !== uid;
  } catch {
    return true;
  }
}

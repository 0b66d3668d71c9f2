import { spawnSync } from 'node:child_process';
import { Namespace } from './namespace.ts';
import { MISSING } from './people.ts';

/** What keeps a system from being made; undefined where nothing does. */
export const NO_SYSTEM =
  MISSING ??
  (spawnSync('unshare', ['--mount', 'sh', '-c', overlay('/mnt', ['var'])]).status === 0
    ? undefined
    : 'no overlay of the system can be made');

/** This machine's own system, as it looks to a few processes: what they change in /etc, /usr and /var is gone in the end. */
export class System extends Namespace {
  /** @param dir an empty folder to work in */
  static async overlay(dir: string): Promise<System> {
    const flags = ['--mount'];
    return new System(await Namespace.hold(flags, overlay(dir, ['etc', 'usr', 'var'])), flags);
  }

  /** What each file below these folders is: mode, owner, and bytes or target. */
  snapshot(...dirs: string[]): Map<string, string> {
    const script = `find "$@" -printf '%p\\t%y %m %U:%G %l\\n' 2>/dev/null; find "$@" -type f -exec sha256sum {} + 2>/dev/null; true`;
    const lines = this.run('sh', '-c', script, 'sh', ...dirs)
      .trim()
      .split('\n');
    const found = new Map<string, string>();
    for (const line of lines) {
      const [, sum, file] = /^\\?([0-9a-f]{64}) {2}(.*)$/.exec(line) ?? [];
      const [path = '', what = ''] = sum && file ? [file, sum] : line.split('\t');
      found.set(path, `${found.get(path) ?? ''} ${what}`);
    }
    return found;
  }
}

/** Shell text that lays something of its own over folders of the root. */
function overlay(dir: string, folders: readonly string[]): string {
  return `mount -t tmpfs none ${dir} && for each in ${folders.join(' ')}; do mkdir -p ${dir}/$each/upper ${dir}/$each/work &&
mount -t overlay none -o lowerdir=/$each,upperdir=${dir}/$each/upper,workdir=${dir}/$each/work /$each || exit; done`;
}

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
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
  /**
   * @param dir an empty folder to work in
   * @param network has a network of its own as well, with a bridge
   */
  static async overlay(dir: string, network?: 'with a bridge'): Promise<System> {
    const flags = ['--mount', ...(network ? ['--net'] : [])];
    const bridge = network ? ' && mount -t sysfs sysfs /sys && ip link add br0 type bridge && ip link set br0 up' : '';
    const script = `${overlay(dir, ['usr', 'var'])} && ${copyOfEtc(dir)} && touch /usr/is-overlaid${bridge}`;
    const system = new System(await Namespace.hold(flags, script), flags);
    // What is done in there would be a misfortune anywhere else.
    system.run('test', '-e', '/usr/is-overlaid');
    if (existsSync('/usr/is-overlaid')) throw new Error('the overlay of the system is no overlay');
    return system;
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

/** Shell text that puts a copy in the place of /etc, where other tests make users meanwhile. */
function copyOfEtc(dir: string): string {
  // Users who are made at the same moment have files there that go while they are copied.
  return `{ cp -a /etc ${dir}/etc 2>/dev/null; rm -f ${dir}/etc/*.lock; } && mount --bind ${dir}/etc /etc`;
}

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { MISSING } from './people.ts';

/** What keeps a system from being made; undefined where nothing does. */
export const NO_SYSTEM =
  MISSING ??
  (spawnSync('unshare', ['--mount', 'sh', '-c', overlay('/mnt', ['var'])]).status === 0
    ? undefined
    : 'no overlay of the system can be made');

/** This machine's own system, as it looks to a few processes: what they change in /etc, /usr and /var is gone in the end. */
export class System {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** @param dir an empty folder to work in */
  static async make(dir: string): Promise<System> {
    const script = `${overlay(dir, ['etc', 'usr', 'var'])} && echo ready && exec cat`;
    const holder = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', () => reject(new Error('no overlay of the system could be made')));
    });
    return new System(holder);
  }

  /** The words before a program that is to be in it. */
  get inside(): string[] {
    return ['nsenter', `--target=${this.#holder.pid}`, '--mount', '--wd=/'];
  }

  run(...argv: string[]): string {
    const [program = '', ...args] = [...this.inside, ...argv];
    return execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
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

  async remove(): Promise<void> {
    const gone = new Promise((resolve) => this.#holder.once('exit', resolve));
    this.#holder.stdin?.end();
    await gone;
  }
}

/** Shell text that lays something of its own over folders of the root. */
function overlay(dir: string, folders: readonly string[]): string {
  return `mount -t tmpfs none ${dir} && for each in ${folders.join(' ')}; do mkdir -p ${dir}/$each/upper ${dir}/$each/work &&
mount -t overlay none -o lowerdir=/$each,upperdir=${dir}/$each/upper,workdir=${dir}/$each/work /$each || exit; done`;
}

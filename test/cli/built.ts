import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';

/** How one run of the built program ended. */
export interface Ran {
  /** Null when it had to be killed, because it did not end by itself. */
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
  /** Milliseconds. */
  readonly took: number;
}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
}

/** A machine without KVM, and one with everything. */
export const BARE_HOST = join(CHECKOUT, 'test', 'hosts', 'bare.json');
export const LAPTOP_HOST = join(CHECKOUT, 'test', 'hosts', 'laptop.json');

/** The built program as a child process, in a folder and for a user of its own. */
export class Built {
  /** Where it runs, and where `write` puts files. */
  readonly dir: string;
  /** A copy of `dist/`, which a build that goes on meanwhile does not disturb, and tests may break. */
  readonly dist: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #root: string;

  constructor() {
    buildIfStale();
    this.#root = mkdtempSync(join(tmpdir(), 'ezvm-built-'));
    this.dir = join(this.#root, 'here');
    this.dist = join(this.#root, 'package', 'dist');
    mkdirSync(join(this.#root, 'home'), { mode: 0o700 });
    mkdirSync(this.dir);
    cpSync(join(CHECKOUT, 'dist'), this.dist, { recursive: true });
    const home = (name: string): string => join(this.#root, 'home', name);
    this.env = {
      PATH: process.env['PATH'] ?? '',
      HOME: home('.'),
      XDG_CACHE_HOME: home('cache'),
      XDG_CONFIG_HOME: home('config'),
      XDG_RUNTIME_DIR: home('run'),
      XDG_STATE_HOME: home('state'),
    };
  }

  /** Where the user's settings lie. */
  get config(): string {
    return join(this.#root, 'home', 'config', 'ezvm');
  }

  /** Writes a file below the working folder, or at an absolute path, and gives its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = name.startsWith('/') ? name : join(this.dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  run(argv: readonly string[], { cwd = this.dir, env = {}, uid }: RunOptions = {}): Ran {
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(this.dist, 'start.cjs'), ...argv], {
      cwd,
      env: { ...this.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
      ...(uid !== undefined && { uid, gid: uid }),
    });
    return { exit: status, out: stdout, err: stderr, took: performance.now() - start };
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

function buildIfStale(): void {
  const newest = Math.max(...['src', 'templates', 'bin'].map((folder) => newestIn(join(CHECKOUT, folder))));
  const built = statSync(join(CHECKOUT, 'dist', 'templates.json'), { throwIfNoEntry: false });
  if (built && built.mtimeMs >= newest) return;
  const { status, stderr } = spawnSync(process.execPath, [join(CHECKOUT, 'bin', 'build.mjs')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build fails: ${stderr}`);
}

function newestIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(...files.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

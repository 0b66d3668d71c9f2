import { type ChildProcess, execFileSync, spawn } from 'node:child_process';

/** Namespaces of their own for a few processes, which go with whoever made them. */
export class Namespace {
  readonly #holder: ChildProcess;
  readonly #flags: readonly string[];

  protected constructor(holder: ChildProcess, flags: readonly string[]) {
    this.#holder = holder;
    this.#flags = flags;
  }

  /** @param script what a shell does in there before anybody else comes */
  static async make(flags: readonly string[], script: string): Promise<Namespace> {
    return new Namespace(await Namespace.hold(flags, script), flags);
  }

  protected static async hold(flags: readonly string[], script: string): Promise<ChildProcess> {
    const holder = spawn('unshare', [...flags, 'sh', '-c', `cd / && ${script} && echo ready && exec cat`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve, reject) => {
      holder.stdout?.once('data', () => resolve());
      holder.once('exit', () => reject(new Error(`no namespace could be made by: ${script}`)));
    });
    return holder;
  }

  /** The words before a program that is to be in it. Without `--root` one would leave a chroot that the tests run in. */
  get inside(): string[] {
    return ['nsenter', `--target=${this.#holder.pid}`, ...this.#flags, '--root', '--wd'];
  }

  run(...argv: string[]): string {
    const [program = '', ...args] = [...this.inside, ...argv];
    return execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  }

  async remove(): Promise<void> {
    const gone = new Promise((resolve) => this.#holder.once('exit', resolve));
    this.#holder.stdin?.end();
    await gone;
  }
}

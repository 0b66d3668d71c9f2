import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../checkout.ts';

export interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** What a start by root itself has to say; tests in a container are root's. */
export const AS_ROOT: readonly string[] = process.geteuid?.() === 0 ? ['--i-know-qemu-runs-as-root'] : [];

/** One VM of its own user: the built program as it is started from a shell, with all its folders in a temporary one. */
export class Machine {
  readonly dir = mkdtempSync(join(tmpdir(), 'ezvm-boot-'));
  readonly name = 'vm';
  readonly file = join(this.dir, 'vm.yaml');
  readonly env: Readonly<Record<string, string | undefined>> = {
    ...process.env,
    HOME: this.dir,
    XDG_CACHE_HOME: join(this.dir, 'cache'),
    XDG_CONFIG_HOME: join(this.dir, 'config'),
    XDG_RUNTIME_DIR: join(this.dir, 'run'),
    XDG_STATE_HOME: join(this.dir, 'state'),
  };

  readonly #within: readonly string[];

  /** @param within words that run a command somewhere else, such as in another network */
  constructor(yaml: string, within: readonly string[] = []) {
    this.#within = within;
    this.write('vm.yaml', `name: vm\n${yaml}`);
  }

  /** Writes a file beside the VM's own. */
  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.dir, name)), { recursive: true });
    writeFileSync(join(this.dir, name), text);
  }

  /** Runs `ezvm` with these words. */
  ezvm(...words: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const program = join(CHECKOUT, 'bin', 'ezvm.js');
      const [command = '', ...rest] = [...this.#within, process.execPath, program, ...words];
      execFile(command, rest, { cwd: this.dir, env: this.env }, (error, out, err) => {
        resolve({ exit: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err });
      });
    });
  }

  /** Starts it; whatever keeps it from starting is thrown. */
  async start(): Promise<Outcome> {
    const outcome = await this.ezvm(this.file, ...AS_ROOT);
    if (outcome.exit !== 0) throw new Error(`the start exited ${outcome.exit}: ${outcome.err}`);
    return outcome;
  }

  async status(): Promise<{
    condition: string;
    pid?: number;
    sidecars: { name: string; pid: number; alive: boolean; reason?: string }[];
  }> {
    return JSON.parse((await this.ezvm('status', this.name, '--json')).out);
  }

  /** What the guest has written on its serial port. */
  console(): string {
    return this.#log('serial0').replaceAll('\r', '');
  }

  /** Waits until the guest has written `text`; throws when the VM ends before, or takes longer than a slow machine needs. */
  async waitFor(text: string, seconds = 200): Promise<string> {
    const deadline = Date.now() + seconds * 1000;
    for (let polls = 0; ; polls++) {
      const console = this.console();
      if (console.includes(text)) return console;
      // Asking is dear; reading the log is not.
      const ended = polls % 20 === 19 && (await this.status()).condition !== 'running';
      // It may have written it and ended while it was asked for its status.
      if (ended && !this.console().includes(text))
        throw new Error(`the VM ended without "${text}":\n${this.#log('qemu')}\n${console}`);
      if (Date.now() > deadline) throw new Error(`no "${text}" after ${seconds} s:\n${console}`);
      await sleep(50);
    }
  }

  #log(name: string): string {
    const file = join(this.dir, 'state', 'ezvm', this.name, `${name}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Ends the VM if it is still there, and removes all that it wrote. */
  async remove(): Promise<void> {
    await this.ezvm('stop', this.name, '--force');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

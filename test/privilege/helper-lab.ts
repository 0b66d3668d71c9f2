import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SOURCES, sources } from '../priv/lab.ts';
import type { Person, Town } from './people.ts';

/** The helper, setuid for the group of a town, with a policy of its own. */
export class Helper {
  /** Every folder above is root's alone, as the helper wants it for its policy; /tmp is not. */
  readonly #dir = mkdtempSync('/var/lib/ezvm-helper-');
  readonly program = join(this.#dir, 'ezvm-priv');

  constructor(town: Town) {
    chmodSync(this.#dir, 0o755);
    const paths = [`-DEZVM_PRIV_POLICY="${join(this.#dir, 'policy')}"`, `-DEZVM_PRIV_RUN="${join(this.#dir, 'run')}"`];
    execFileSync('cc', [`@${join(SOURCES, 'flags')}`, ...paths, '-o', this.program, ...sources()]);
    const gid = Number(execFileSync('getent', ['group', town.group], { encoding: 'utf8' }).split(':')[2]);
    chownSync(this.program, 0, gid);
    chmodSync(this.program, 0o4750);
  }

  /** Lets a person's ezvm find it here. */
  makeKnown({ home, uid, gid }: Person): void {
    const dirs = [join(home, '.config'), join(home, '.config', 'ezvm')];
    for (const dir of dirs) {
      mkdirSync(dir, { recursive: true });
      chownSync(dir, uid, gid);
    }
    writeFileSync(join(dirs[1] ?? '', 'ezvm.yaml'), `programs: { ezvm-priv: ${this.program} }\n`, { mode: 0o644 });
  }

  policy(...lines: readonly string[]): void {
    const file = join(this.#dir, 'policy');
    rmSync(file, { force: true });
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o644 });
  }

  /** Allows this to one person, and nothing to anybody else. */
  allow({ name }: Person, ...rules: readonly string[]): void {
    this.policy(...rules.map((rule) => `allow user:${name} ${rule}`));
  }

  /** Gives the policy another mode. */
  spoilPolicy(mode: number): void {
    chmodSync(join(this.#dir, 'policy'), mode);
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

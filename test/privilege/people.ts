import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Built, type Ran } from '../cli/built.ts';
import { Namespace } from './namespace.ts';

/** What keeps these tests from being run here; undefined where nothing does. */
export const MISSING =
  process.geteuid?.() !== 0
    ? 'only root can make users'
    : (['useradd', 'setpriv', 'losetup', 'unshare', 'nsenter', 'ip', 'swtpm'].find(
        (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
      ) ??
      (spawnSync('losetup', ['--find']).status !== 0
        ? 'no loop device can be made'
        : spawnSync('unshare', ['--net', '--mount', 'true']).status !== 0
          ? 'no namespace can be made'
          : undefined));

/** Somebody made for a test. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly groups: readonly number[];
}

/** Users, a group and devices for one test file, all of it gone after `remove`. */
export class Town {
  readonly built = new Built();
  readonly dir = join(this.built.dir, '..');
  readonly group = `ezt${process.pid}`;
  readonly #people: Person[] = [];
  readonly #loops: string[] = [];
  readonly #roots = `/run/${this.group}`;

  constructor() {
    chmodSync(this.dir, 0o755);
    execFileSync('groupadd', [this.group]);
  }

  /** A new user, in the group if `member`, with a runtime directory as a login makes it. */
  add(word: string, member: boolean): Person {
    const name = `${this.group}${word}`;
    const home = join(this.dir, name);
    const groups = member ? ['--groups', this.group] : [];
    execFileSync('useradd', ['--create-home', '--home-dir', home, '--shell', '/bin/sh', ...groups, name]);
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, name])));
    const ids = execFileSync('id', ['-G', name], { encoding: 'utf8' }).trim().split(' ').map(Number);
    const person = { name, uid: uid ?? -1, gid: gid ?? -1, home, groups: ids };
    this.#people.push(person);
    mkdirSync(join(home, 'run'), { mode: 0o700 });
    chownSync(join(home, 'run'), person.uid, person.gid);
    return person;
  }

  /** A block device over a file, for root and, where `shared`, for the group as a udev rule would give it. */
  loop(file: string, shared: boolean): string {
    const path = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    this.#loops.push(path);
    chownSync(
      path,
      0,
      shared ? Number(execFileSync('getent', ['group', this.group], { encoding: 'utf8' }).split(':')[2]) : 0,
    );
    chmodSync(path, shared ? 0o660 : 0o600);
    return path;
  }

  /** A file that root alone can change, with every directory above it. */
  rootsFile(name: string, text: string): string {
    mkdirSync(this.#roots, { recursive: true, mode: 0o755 });
    const path = join(this.#roots, name);
    writeFileSync(path, text, { mode: 0o644 });
    return path;
  }

  /** Runs ezvm as root does for whom called sudo. */
  sudo(person: Person | undefined, ...words: string[]): Ran {
    return this.built.run(words, person && { env: { SUDO_UID: String(person.uid), SUDO_USER: person.name } });
  }

  /** Runs a program as a person who has logged in. */
  as(person: Person, argv: readonly string[], inside: readonly string[] = []): Ran {
    const start = performance.now();
    const words = [
      ...inside,
      ...['setpriv', `--reuid=${person.uid}`, `--regid=${person.gid}`, '--init-groups', '--inh-caps=-all', ...argv],
    ];
    const { status, stdout, stderr } = spawnSync(words[0] ?? '', words.slice(1), {
      cwd: person.home,
      env: this.login(person),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
    });
    return { exit: status, out: stdout, err: stderr, took: performance.now() - start };
  }

  /** The words that run ezvm. */
  ezvm(...words: readonly string[]): string[] {
    return [process.execPath, join(this.built.dist, 'start.cjs'), ...words];
  }

  login({ home, name }: Person): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return { PATH, HOME: home, USER: name, LOGNAME: name, XDG_RUNTIME_DIR: join(home, 'run') };
  }

  remove(): void {
    for (const path of this.#loops) spawnSync('losetup', ['--detach', path]);
    for (const { name } of this.#people) spawnSync('userdel', [name]);
    spawnSync('groupdel', [this.group]);
    rmSync(this.#roots, { recursive: true, force: true });
    this.built.remove();
  }
}

/** A network, with a /dev/net/tun that is everybody's, as udev makes it; in a container the node may be root's alone. */
export function makeNetwork(dir: string, script: string): Promise<Namespace> {
  const tun = join(dir, 'tun');
  rmSync(tun, { force: true });
  return Namespace.make(
    ['--net', '--mount'],
    `mknod ${tun} c 10 200 && chmod 666 ${tun} && mkdir -p /dev/net && mount --bind ${tun} /dev/net/tun && ${script}`,
  );
}

/** A network with a bridge, and in it a tap that is somebody's. */
export function makeBridge(dir: string, owner: Person): Promise<Namespace> {
  return makeNetwork(
    dir,
    `mount -t sysfs sysfs /sys && ip link set lo up && ip link add br0 type bridge && ip link set br0 up &&
ip tuntap add dev tap0 mode tap user ${owner.name} vnet_hdr && ip link set tap0 master br0 up`,
  );
}

/** What /proc/PID/status says of a process, by field. */
export function statusOf(pid: number | undefined): Readonly<Record<string, string>> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  return Object.fromEntries(
    lines.map((line) => line.split(/:\s*/)).map(([key = '', value = '']) => [key, value.trim()]),
  );
}

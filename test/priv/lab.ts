import { type ChildProcess, type SpawnSyncOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';

export const SOURCES = join(CHECKOUT, 'src', 'priv');
export const HERE = join(CHECKOUT, 'test', 'priv');
/** Every folder above is root's alone, as the helper wants it for its policy; /tmp is not. */
const PLACE = '/var/lib';

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

const IS_ROOT = process.geteuid?.() === 0;
export const CAN = IS_ROOT;
/** Appended to the names of tests that are left out. */
export const WHY = CAN ? '' : ' (left out: only root can install a setuid program and make users)';

/** A user made for a test. */
export interface User {
  name: string;
  uid: number;
  gid: number;
  /** As `launch become:` takes it, with all groups. */
  ids: string;
}

/** How a program ended and what it said. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** How the helper is called: by whom, and what `launch` does before. */
export interface Call {
  user?: User;
  actions?: string[];
  options?: SpawnSyncOptions;
  /** A process whose network namespace is entered first. */
  network?: number;
}

/** A folder with a setuid helper of its own, whose policy, records, devices and log are in there too. */
export interface PrivLab {
  dir: string;
  helper: string;
  witness: string;
  member: User;
  stranger: User;
  /** Writes the policy, or says where it is. */
  policyFile: string;
  policy(text: string): void;
  path(...parts: string[]): string;
  run(args: string[], call?: Call): Ended;
  start(args: string[], call?: Call): ChildProcess;
  /** As `run`, while this process goes on. */
  call(args: string[], call?: Call): Promise<Ended>;
  /** All that the log got; the latest messages may be on their way. */
  logged(): string;
  sweep(): Promise<void>;
}

/** Runs a tool and gives its output. @throws Error when it fails */
export function tool(program: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Compiles the helper as it is installed, with other paths. */
export function buildHelper(dir: string, file: string, flags: string[] = [], compiler = 'cc'): void {
  const paths = {
    POLICY: join(dir, 'etc', 'policy'),
    RUN: join(dir, 'run', 'ezvm-priv'),
    DEV: join(dir, 'dev'),
    SYS: join(dir, 'sys'),
    LOG: join(dir, 'log.sock'),
  };
  const defined = Object.entries(paths).map(([name, path]) => `-DEZVM_PRIV_${name}="${path}"`);
  tool(compiler, [`@${join(SOURCES, 'flags')}`, ...flags, ...defined, '-o', file, ...sources()]);
}

/** The helper's C files. */
export function sources(): string[] {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(SOURCES, name));
}

/** Compiles a program of the tests. */
export function buildTool(name: string, dir: string): string {
  const file = join(dir, name);
  tool('cc', ['-std=gnu17', '-O1', '-Wall', '-Wextra', '-o', file, join(HERE, `${name}.c`)]);
  return file;
}

function addUser(name: string, groups: string[]): User {
  const more = groups.length > 0 ? ['-G', groups.join(',')] : [];
  tool('useradd', ['--no-create-home', '--no-log-init', '--shell', '/bin/sh', ...more, name]);
  const uid = Number(tool('id', ['-u', name]));
  const gid = Number(tool('id', ['-g', name]));
  return { name, uid, gid, ids: [uid, gid, ...tool('id', ['-G', name]).trim().split(' ')].join(',') };
}

export async function makeLab(): Promise<PrivLab> {
  const dir = mkdtempSync(join(PLACE, 'ezvm-priv-'));
  const path = (...parts: string[]) => join(dir, ...parts);
  const mark = dir
    .slice(-6)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, 'x');
  const group = `ezvmg${mark}`;
  chmodSync(dir, 0o755);
  for (const each of ['etc', 'run', 'dev', 'sys', 'bin', 'out']) mkdirSync(path(each), { mode: 0o755 });
  chmodSync(path('out'), 0o777);
  // In memory, as /dev is: on a busy disk whoever stands in for the kernel may be later than the helper waits.
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'none', path('dev')]);
  const helper = path('bin', 'ezvm-priv');
  buildHelper(dir, helper);
  const [witness, launch, log] = ['witness', 'launch', 'log'].map((name) => buildTool(name, path('bin')));
  tool('groupadd', [group]);
  const member = addUser(`ezvmm${mark}`, [group]);
  const stranger = addUser(`ezvms${mark}`, []);
  chownSync(helper, 0, Number(tool('getent', ['group', group]).split(':')[2]));
  chmodSync(helper, 0o4750);
  const logger = spawn(log ?? '', [path('log.sock'), path('log.txt')], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(logger.stdout, 'data');

  const line = (args: string[], { user = member, actions = [], network }: Call): [string, ...string[]] => {
    const words = [launch ?? '', `become:${user.ids}`, ...actions, '--', helper, ...args];
    return network ? ['nsenter', `--net=/proc/${network}/ns/net`, '--', ...words] : (words as [string]);
  };
  const lab: PrivLab = {
    dir,
    helper,
    witness: witness ?? '',
    member,
    stranger,
    policyFile: path('etc', 'policy'),
    path,
    policy(text) {
      rmSync(path('etc', 'policy'), { force: true, recursive: true });
      writeFileSync(path('etc', 'policy'), text, { mode: 0o644 });
    },
    run(args, call = {}) {
      const [program, ...words] = line(args, call);
      const { status, signal, stdout, stderr } = spawnSync(program, words, {
        encoding: 'utf8',
        timeout: 60_000,
        maxBuffer: 1 << 26,
        env: ENV,
        cwd: '/',
        ...call.options,
      });
      return { code: status, signal, stdout: String(stdout), stderr: String(stderr) };
    },
    start(args, call = {}) {
      const [program, ...words] = line(args, call);
      return spawn(program, words, { env: ENV, cwd: '/', stdio: 'pipe', ...(call.options as object) });
    },
    async call(args, call = {}) {
      const child = lab.start(args, call);
      const said = { stdout: '', stderr: '' };
      for (const stream of ['stdout', 'stderr'] as const)
        child[stream]?.on('data', (text) => {
          said[stream] += text;
        });
      child.stdin?.end();
      const [code, signal] = await once(child, 'close');
      return { code, signal, ...said };
    },
    logged: () => readFileSync(path('log.txt'), 'latin1'),
    async sweep() {
      logger.stdin.end();
      if (logger.exitCode === null) await once(logger, 'exit');
      for (const { name } of [member, stranger]) tool('userdel', [name]);
      tool('groupdel', [group]);
      spawnSync('umount', [path('dev')]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return lab;
}

/** Makes a device node with the kind and numbers of another. */
export function node(file: string, like: string): void {
  const { rdev, mode } = statSync(like);
  const kind = (mode & 0o170000) === 0o060000 ? 'b' : 'c';
  mkdirSync(dirname(file), { recursive: true });
  tool('mknod', ['-m', '600', file, kind, String(rdev >> 8), String(rdev & 0xff)]);
}

/** A file of some MiB behind a loop device that only root may open; null where there are none. */
export function makeDisk(lab: PrivLab, name: string, start = ''): { device: string; detach(): void } | null {
  const file = lab.path(`${name}.img`);
  const body = Buffer.alloc(4 << 20);
  body.write(start);
  writeFileSync(file, body, { mode: 0o600 });
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', file], { encoding: 'utf8' });
  if (status !== 0) return null;
  const device = stdout.trim();
  tool('blockdev', ['--setrw', device]); // who had it before may have left it otherwise
  node(lab.path('dev', name), device);
  return { device, detach: () => tool('losetup', ['--detach', device]) };
}

/** Puts a link into the lab's /dev. */
export function link(lab: PrivLab, name: string, target: string): void {
  const file = lab.path('dev', name);
  mkdirSync(dirname(file), { recursive: true });
  symlinkSync(target, file);
}

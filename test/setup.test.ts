import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHECKOUT } from './checkout.ts';

/** What any machine has. */
const TOOLS = 'env grep tr sort cat dirname mktemp rm find df awk tail head ls sed touch'.split(' ');
/** What a machine has that the demo needs nothing more for; files, such as firmware, are wherever they are. */
const INSTALLED = ['qemu-system-x86_64', 'swtpm', 'flock', 'zstd', 'cpio', 'rpm2cpio', 'busybox'];

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-setup-'));
  for (const each of ['bin', 'path', 'src', 'templates', 'node_modules', 'dist']) mkdirSync(join(dir, each));
  for (const each of ['bin/setup.sh', 'package.json', 'package-lock.json'])
    copyFileSync(join(CHECKOUT, each), join(dir, each));
  for (const each of ['bin/build.mjs', 'node_modules/.package-lock.json', 'dist/.built'])
    writeFileSync(join(dir, each), '');
  for (const each of TOOLS) {
    const place = ['/usr/bin', '/bin'].map((folder) => join(folder, each)).find(existsSync);
    if (place) symlinkSync(place, join(dir, 'path', each));
  }
  symlinkSync(process.execPath, join(dir, 'path', 'node'));
  for (const each of ['npm', 'apt-get', 'apt-cache', ...INSTALLED]) program(each);
  program('id', 'echo 0');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Puts a program on the machine that only notes how it was called. */
function program(name: string, does = ''): void {
  const file = join(dir, 'path', name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" >>${dir}/calls\n${does}\n`);
  chmodSync(file, 0o755);
}

function without(...names: string[]): void {
  for (const name of names) rmSync(join(dir, 'path', name), { force: true });
}

function setup(mode = 'demo'): { exit: number | null; said: string; calls: string[] } {
  const env = { PATH: join(dir, 'path'), HOME: dir };
  const { status, stderr } = spawnSync('/bin/sh', [join(dir, 'bin', 'setup.sh'), mode], { env, encoding: 'utf8' });
  const calls = existsSync(join(dir, 'calls')) ? readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n') : [];
  return { exit: status, said: stderr, calls: calls.filter((call) => !/^(id|apt-cache) /.test(call)) };
}

describe('setup', () => {
  it('names what is missing, and installs that and nothing else', () => {
    without('swtpm');
    program('apt-get', `case "$*" in *install*) /bin/ln -s /bin/true ${dir}/path/swtpm;; esac`);
    const { exit, said, calls } = setup();
    expect(said).toMatch(/^Missing here, and installed now:\n {2}from the distribution: .*\bswtpm\b/);
    expect(said).not.toContain('qemu-system');
    const [install] = calls.filter((call) => call.startsWith('apt-get install'));
    expect(install).toMatch(/-y --no-install-recommends .*\bswtpm\b/);
    expect(install).not.toContain('qemu-system');
    expect(exit, said).toBe(0);
  });

  it('says so when what it installed is not there', () => {
    without('swtpm');
    const { exit, said } = setup();
    expect(exit).toBe(3);
    expect(said).toMatch(/installed, and yet not found: .*swtpm/);
  });

  it.each([
    ['dnf', 'dnf install'],
    ['pacman', 'pacman -S'],
  ])('goes by %s where that is the package manager', (manager, install) => {
    without('apt-get', 'apt-cache', 'qemu-system-x86_64');
    program(manager, `/bin/ln -sf /bin/true ${dir}/path/qemu-system-x86_64`);
    const { calls, said } = setup();
    expect(said).toContain('qemu-system-x86');
    expect(calls.find((call) => call.startsWith(install))).toContain('qemu-system-x86');
  });

  it('uses sudo for an ordinary user, and shows the command', () => {
    without('swtpm');
    program('id', 'echo 1000');
    program('sudo', `/bin/ln -sf /bin/true ${dir}/path/swtpm`);
    const { said, calls } = setup();
    expect(said).toMatch(/by running: sudo apt-get install .*swtpm/);
    expect(calls.some((call) => /^sudo env DEBIAN_FRONTEND=noninteractive apt-get install .*swtpm/.test(call))).toBe(
      true,
    );
  });

  it('says what to run as root where there is no sudo, and exits 3', () => {
    without('swtpm');
    program('id', 'echo 1000');
    const { exit, said, calls } = setup();
    expect(exit).toBe(3);
    expect(said).toMatch(/neither root nor sudo; as root, run: apt-get install .*swtpm/);
    expect(calls).toEqual([]);
  });

  it('tells a lack of network from other failures', () => {
    without('swtpm');
    program('apt-get', 'echo "E: Failed to fetch http://x/ Temporary failure resolving x"; exit 100');
    const { exit, said } = setup();
    expect(exit).toBe(3);
    expect(said).toContain('no network');
  });

  it('runs npm ci when the lock file is newer than what is installed, and builds when a source is newer', () => {
    expect(setup().calls.filter((call) => call.startsWith('npm'))).toEqual([]);
    rmSync(join(dir, 'node_modules', '.package-lock.json'));
    rmSync(join(dir, 'dist', '.built'));
    const { said, calls } = setup();
    expect(said).toMatch(/from npm, .*: .*\byaml\b/);
    expect(calls.filter((call) => call.startsWith('npm'))).toEqual([
      'npm ci --ignore-scripts --no-audit --no-fund',
      'npm run build',
    ]);
  });

  it('refuses an old Node by name', () => {
    without('node');
    program('node', '[ "$1" = -v ] && echo v18.19.0; [ "$1" = -v ]');
    const { exit, said } = setup();
    expect(exit).toBe(3);
    expect(said).toContain('Node.js v18.19.0 is too old; 20.19 or newer is needed');
  });
});

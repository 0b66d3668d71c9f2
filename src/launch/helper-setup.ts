import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Diagnostic, EXIT, fault } from '../core/diagnostic.ts';
import type { Account } from '../host/account.ts';

/** By absolute path, and with an environment of their own: root runs them too. */
const COMPILERS = ['/usr/bin/cc', '/usr/bin/gcc', '/usr/bin/clang'];
const PATIENCE = 300_000;

/**
 * Compiles the setuid helper from its sources, the same bytes each time.
 * @throws EzvmError exit 3 where there is no compiler, or what it says
 */
export function buildHelper(sources: string): Uint8Array {
  const compiler = COMPILERS.find((path) => existsSync(path));
  if (compiler === undefined)
    throw fault(EXIT.host, 'compiler-missing', 'the helper is built on this machine, which has no C compiler', {
      help: 'install one and the headers of the C library: the packages gcc and libc6-dev (Debian), gcc and glibc-devel (Fedora), gcc (Arch)',
    });
  // Whoever calls root may have chosen the usual folder, and could put another program in this one's place.
  const dir = mkdtempSync(join(process.geteuid?.() === 0 ? '/run' : tmpdir(), 'ezvm-build-'));
  try {
    const program = join(dir, 'ezvm-priv');
    const files = readdirSync(sources).filter((name) => name.endsWith('.c'));
    const { status, stderr, error } = spawnSync(
      compiler,
      [`@${join(sources, 'flags')}`, '-o', program, ...files.toSorted().map((name) => join(sources, name))],
      {
        cwd: dir,
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TMPDIR: dir },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: PATIENCE,
      },
    );
    if (status === 0) return readFileSync(program);
    const said = error?.message ?? stderr.split('\n').find((line) => /\b(error|cannot)\b/i.test(line)) ?? '';
    throw fault(EXIT.host, 'build-failed', `${compiler} cannot build the helper: ${said || `status ${status}`}`, {
      help: /stdio\.h|linux\/|crt1\.o/.test(said)
        ? 'install the headers of the C library and the kernel: libc6-dev (Debian), glibc-devel and kernel-headers (Fedora)'
        : undefined,
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Why an installed helper is of no use to somebody who may call it; nothing where it answers him. For root to ask. */
export function tryHelper(program: string, { uid, gid }: Account): Diagnostic[] {
  const { status, stderr, error } = spawnSync(
    '/usr/bin/setpriv',
    [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups', program, 'check'],
    { cwd: '/', encoding: 'utf8', env: {}, stdio: ['ignore', 'ignore', 'pipe'], timeout: PATIENCE },
  );
  if (status === 0) return [];
  const said = error?.message ?? stderr.trim().replace(/^ezvm-priv: /, '');
  return [{ severity: 'warning', code: 'helper-unusable', message: `${program} does not work: ${said}` }];
}

/**
 * Gives the devices that the helper has taken back to their drivers, whoever got them. For root to ask.
 * @throws EzvmError exit 4 while a VM has one
 */
export function releaseDevices(program: string): void {
  if (!existsSync(program)) return;
  const { status, stderr, error } = spawnSync(program, ['release'], {
    cwd: '/',
    encoding: 'utf8',
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: PATIENCE,
  });
  if (status === 0) return;
  const said = error?.message ?? stderr.trim().replace(/^ezvm-priv: /, '');
  throw fault(EXIT.state, 'devices-out', `devices cannot be given back, so all stays: ${said}`, {
    help: 'stop the VMs that have them, and say it again',
  });
}

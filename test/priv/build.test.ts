import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HERE, SOURCES, sources, tool } from './lab.ts';

const WARNINGS = readFileSync(join(HERE, 'warnings'), 'utf8').trim().split('\n');
const FLAGS = `@${join(SOURCES, 'flags')}`;
const has = (program: string) => spawnSync(program, ['--version']).status === 0;

let dir: string;
let program: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-priv-'));
  program = join(dir, 'ezvm-priv');
  tool('cc', [FLAGS, '-o', program, ...sources()]);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the helper', () => {
  const clang = has('clang') ? 'clang' : 'clang (left out: it is not installed)';
  it.for(['gcc', clang])('builds without a warning with %s', (compiler, { skip }) => {
    if (compiler.includes('left out')) skip();
    const { status, stderr } = spawnSync(compiler, [FLAGS, ...WARNINGS, '-o', program, ...sources()], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('is built by the one command that docs/helper.md gives', () => {
    tool('sh', ['-c', `cd ${join(SOURCES, '..', '..')} && cc @src/priv/flags -o ${program} src/priv/*.c`]);
    expect(tool(program, ['--version'])).toBe('ezvm-priv 1\n');
    expect(tool(program, ['--help'])).toContain('usage: ezvm-priv run --vm=NAME');
  });

  it('finds nothing to say for the analysers', () => {
    for (const file of sources()) {
      const { stderr } = spawnSync('gcc', [FLAGS, '-fanalyzer', '-c', '-o', '/dev/null', file], { encoding: 'utf8' });
      expect(stderr).toBe('');
    }
    const check = [
      '--enable=warning,performance,portability',
      '--inconclusive',
      '--quiet',
      '--error-exitcode=1',
      '--suppress=normalCheckLevelMaxBranches',
    ];
    const found = spawnSync('cppcheck', [...check, '--std=c11', '-D_GNU_SOURCE', SOURCES], { encoding: 'utf8' });
    expect(`${found.stdout}${found.stderr}`).toBe('');
    expect(found.status).toBe(0);
  });

  it('uses no heap, no environment, no name service, no search path, no shell, no locale', () => {
    const names = tool('nm', ['--dynamic', '--undefined-only', program]).matchAll(/ [UwV] (\w+)/g);
    const used = [...names].map(([, name]) => name ?? '');
    expect(used).toContain('execve');
    const banned =
      /^(malloc|calloc|realloc|free|.*alloc|strdup|asprintf|getline|fopen|opendir|.*getenv|setenv|putenv|getpw.*|getgr.*(nam|gid|ent)|initgroups|getaddrinfo|if_nametoindex|execvp.*|execl.*|system|popen|posix_spawn.*|fork|dlopen|setlocale|v?syslog|openlog|strcpy|strcat|sprintf|gets|scanf|tmpfile|mktemp|wordexp|glob|fnmatch|strtol|atoi|atexit|exit)(_chk)?$/;
    expect(used.filter((name) => banned.test(name.replace(/^_+(isoc99_)?/, '')) && name !== '_exit')).toEqual([]);
  });

  it('is position independent, with its tables made read-only at the start and a guard on its stack', () => {
    const said = tool('readelf', ['--wide', '--file-header', '--program-headers', '--dynamic', '--symbols', program]);
    expect(said).toMatch(/Type:\s+DYN/);
    expect(said).toContain('GNU_RELRO');
    expect(said).toMatch(/BIND_NOW|FLAGS_1.*NOW/);
    expect(said).toContain('__stack_chk_fail');
    expect(said).toMatch(/GNU_STACK.*RW /);
    expect(said).not.toMatch(/RUNPATH|RPATH/);
  });
});

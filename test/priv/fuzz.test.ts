import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HERE, SOURCES, sources, tool } from './lab.ts';

const RUNS = Number(process.env['EZVM_FUZZ_RUNS'] ?? 10_000);
/** A failure names seed and input; `fuzz 1 SEED FOLDER INPUT` repeats it. */
const SEED = Number(process.env['EZVM_FUZZ_SEED'] ?? 1);
const MINUTES = 60_000;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-fuzz-'));
  for (const each of ['empty', 'records']) mkdirSync(join(dir, each));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it(
  `${RUNS} command lines and policies, nearly right, of seed ${SEED} upset neither the sanitizers nor the rules`,
  () => {
    const program = join(dir, 'fuzz');
    const places = ['DEV', 'SYS', 'RUN', 'LOG'].map((name) => `-DEZVM_PRIV_${name}="${join(dir, 'empty')}"`);
    const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];
    const parts = sources().filter((file) => !file.endsWith('/main.c'));
    const flags = ['-std=gnu17', '-D_GNU_SOURCE', '-g', '-O1', '-I', SOURCES, ...sanitizers, ...places];
    tool('cc', [...flags, '-o', program, ...parts, join(HERE, 'fuzz.c')]);
    const { status, stdout, stderr } = spawnSync(program, [String(RUNS), String(SEED), join(dir, 'records')], {
      encoding: 'utf8',
      env: { ASAN_OPTIONS: 'abort_on_error=1:detect_stack_use_after_return=1', UBSAN_OPTIONS: 'abort_on_error=1' },
    });
    expect(stderr).toBe('');
    expect(status, stdout).toBe(0);
    // Otherwise it would say nothing about what lies behind the first check.
    for (const [line, taken, refused] of stdout.matchAll(/\w+ (\d+) taken (\d+) refused/g)) {
      expect(Number(taken), line).toBeGreaterThan(RUNS / 50);
      expect(Number(refused), line).toBeGreaterThan(RUNS / 200);
    }
    expect(Number(/granted (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(0);
  },
  30 * MINUTES,
);

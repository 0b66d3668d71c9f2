#!/usr/bin/env node
// Runs every tier of the tests that this machine can run, and says what it left out and why.
//
//   npm test                  all tiers
//   npm test -- unit boot     these only

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');
const CI = Boolean(process.env.CI);

/** In the order in which they run: what fails fast comes first. The vitest ones are projects of vitest.config.ts. */
const TIERS = {
  lint: () => commands({ biome: ['check', '--config-path', 'test/lint', '.'], tsc: ['--noEmit'] }),
  unit: vitest,
  golden: vitest,
  laws: vitest,
  versions: vitest,
  accept: (name) => prepared(name, 'test/qemus.mjs'),
  fault: (name) => prepared(name, 'test/qemus.mjs'),
  priv: inTurn,
  privilege: inTurn,
  gui: (name) => prepared(name, 'test/qemus.mjs'),
  boot: (name) => prepared(name, 'etc/demo/guest.mjs', 'test/qemus.mjs'),
  l1: (name) => prepared(name, 'etc/demo/guest.mjs'),
};

/** What the tests see: no settings of npm's or the user's that change or slow the Node processes they start. */
const env = { ...process.env };
for (const key of Object.keys(env)) if (/^(NODE_|npm_|VITEST|SUDO_|DOAS_|PKEXEC_)/.test(key)) delete env[key];
if (!process.stdout.isTTY) env.NO_COLOR = '1';

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in TIERS));
if (unknown.length > 0) {
  process.stderr.write(`no tier is called ${unknown.join(', ')}; there are ${Object.keys(TIERS).join(', ')}\n`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: 0 };
const summary = [];
for (const [name, run] of Object.entries(TIERS)) {
  if (asked.length > 0 && !asked.includes(name)) {
    summary.push(`${name.padEnd(8)} not asked for`);
    continue;
  }
  process.stdout.write(`\n== ${name}\n`);
  const start = process.hrtime.bigint();
  const { passed, failed, skipped } = run(name);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped.length;
  const counts = `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} left out:` : ''}`;
  summary.push(
    `${name.padEnd(8)} ${seconds.toFixed(1).padStart(6)} s  ${counts}`,
    ...skipped.map((each) => `           - ${each}`),
  );
}
const { passed, failed, skipped } = total;
process.stdout.write(
  `\n${summary.join('\n')}\n\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** Each command is one test. */
function commands(list) {
  const result = { passed: 0, failed: 0, skipped: [] };
  for (const [program, args] of Object.entries(list)) {
    const { status } = spawnSync(join(BIN, program), args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status === 0) result.passed++;
    else result.failed++;
  }
  return result;
}

function vitest(project, ...more) {
  const dir = mkdtempSync(join(tmpdir(), 'ezvm-test-'));
  try {
    const report = join(dir, 'report.json');
    const args = ['run', '--config', 'test/vitest.config.ts', '--project', project, '--passWithNoTests'];
    args.push(...more, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`);
    const { status } = spawnSync(join(BIN, 'vitest'), args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    return readReport(report, status);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function readReport(file, status) {
  try {
    const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failed = tests.filter((test) => test.status === 'failed').length;
    const passed = tests.filter((test) => test.status === 'passed').length;
    const skipped = tests.filter((test) => !['passed', 'failed'].includes(test.status)).map((test) => test.fullName);
    // A file that cannot be loaded or an error outside of any test fails the run without a failed test.
    return { passed, skipped, failed: failed === 0 && status !== 0 ? 1 : failed };
  } catch {
    return { passed: 0, skipped: [], failed: 1 };
  }
}

/** What stands in for the kernel in these tests answers too late where every processor is busy. */
function inTurn(project) {
  return vitest(project, '--no-file-parallelism');
}

/** Without what scripts make, which may have to be downloaded, a tier still runs what needs none of it; in CI that is a failure. */
function prepared(name, ...scripts) {
  const isMade = scripts.map((script) => {
    const stdio = ['ignore', 'ignore', 'inherit'];
    return spawnSync(process.execPath, [script], { cwd: ROOT, env, stdio }).status === 0;
  });
  const result = vitest(name);
  if (isMade.includes(false) && CI) result.failed++;
  return result;
}

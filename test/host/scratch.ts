import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { onTestFinished } from 'vitest';

/** A directory of the running test's own, removed after it. */
export function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'ezvm-host-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** True where tests can become somebody else. */
export const IS_ROOT = process.geteuid?.() === 0;

/** An ordinary user without an entry in the password file. */
export const STRANGER = 61234;

/** Writes an executable file and gives its path. */
export function program(dir: string, name: string, text = '#!/bin/sh\n'): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** Bundles a script that may `require` files under src/ as `SRC/…`. */
export async function bundle(dir: string, script: string): Promise<string> {
  const outfile = join(dir, 'script.cjs');
  const contents = script.replaceAll('SRC/', fileURLToPath(new URL('../../src/', import.meta.url)));
  await build({ stdin: { contents, resolveDir: dir }, bundle: true, platform: 'node', outfile, logLevel: 'silent' });
  return outfile;
}

/** Runs a script as STRANGER, with nothing but `env`, and gives what it prints as JSON. */
export async function asStranger(script: string, env: Record<string, string> = {}): Promise<unknown> {
  const dir = scratch();
  chmodSync(dir, 0o755);
  const file = await bundle(dir, script);
  const ids = [`--reuid=${STRANGER}`, `--regid=${STRANGER}`, '--clear-groups'];
  return JSON.parse(execFileSync('/usr/bin/setpriv', [...ids, process.execPath, file], { encoding: 'utf8', env }));
}

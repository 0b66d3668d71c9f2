import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readEnd } from '../../src/admin/exit.ts';
import { openLog } from '../../src/admin/log.ts';
import { Built } from './built.ts';

let built: Built;
let run: string;
beforeEach(() => {
  built = new Built();
  run = join(built.env['XDG_RUNTIME_DIR'] ?? '', 'ezvm', 'win');
  mkdirSync(run, { recursive: true, mode: 0o700 });
});
afterEach(() => built.remove());

function makeFifo(path: string): void {
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
}

const HOSTILE: readonly (readonly [string, (path: string) => void])[] = [
  ['a FIFO', makeFifo],
  ['a link', (path) => symlinkSync('/dev/zero', path)],
  [
    'far too large',
    (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 40);
    },
  ],
];

describe('what a guest that owns its QEMU makes of our files is told, and blocks no verb', () => {
  it.each(HOSTILE)('state.json is %s', (_, make) => {
    make(join(run, 'state.json'));
    const status = built.run(['status', 'win']);
    expect(status.out + status.err).toContain('state.json was not written by this version of ezvm');
    expect(status.exit).toBe(4);
    expect(built.run(['list']).exit).not.toBeNull();
    const stop = built.run(['stop', 'win', '--force']);
    expect(stop.err).toContain('state.json was not written by this version of ezvm');
    expect(stop.exit).toBe(4);
  });

  it.each(HOSTILE)('the journal is %s', (_, make) => {
    make(join(run, 'journal'));
    const stop = built.run(['stop', 'win', '--force']);
    expect(stop.err).toContain('journal was not written by this version of ezvm');
    expect(stop.exit).toBe(4);
  });

  it('the log of a program is a FIFO', () => {
    makeFifo(join(run, 'qemu.log'));
    const reader = spawn('cat', [join(run, 'qemu.log')], { stdio: 'ignore' });
    try {
      expect(() => openLog(run, 'qemu')).toThrow(/no ordinary file|ENXIO/);
    } finally {
      reader.kill('SIGKILL');
    }
  });
});

describe('what a guest writes of the end of a program', () => {
  it.each(HOSTILE)('is nothing where it is %s', (_, make) => {
    const dir = mkdtempSync(join(tmpdir(), 'ezvm-end-'));
    try {
      writeFileSync(join(dir, 'one.end'), '7 1\n');
      expect(readEnd(dir, { name: 'one', pid: 7 })?.exit).toEqual({ code: 1, signal: null });
      make(join(dir, 'two.end'));
      expect(readEnd(dir, { name: 'two', pid: 7 })).toBeUndefined();
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

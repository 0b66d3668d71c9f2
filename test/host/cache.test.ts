import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCache, writeCache } from '../../src/host/cache.ts';
import { asStranger, IS_ROOT, STRANGER, scratch } from './scratch.ts';

const VALUE = { a: [1, 'é', null], b: true };

function kept(): { dir: string; file: string } {
  const dir = join(scratch(), 'deep', 'ezvm');
  const file = join(dir, 'x.json');
  writeCache(dir, file, 'key', VALUE);
  return { dir, file };
}

describe('the cache', () => {
  it('gives back what was kept under the same key, and nobody else can read it', () => {
    const { dir, file } = kept();
    expect(readCache(file, 'key')).toEqual(VALUE);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(dir)).toEqual(['x.json']);
  });

  it('forgets under another key, and keeps the newest', () => {
    const { dir, file } = kept();
    expect(readCache(file, 'other')).toBeUndefined();
    writeCache(dir, file, 'other', 5);
    expect(readCache(file, 'other')).toBe(5);
    expect(readCache(file, 'key')).toBeUndefined();
  });

  it.each([
    ['cut short', (text: string) => text.slice(0, -1)],
    ['empty', () => ''],
    ['of another format', (text: string) => text.replace('"format":2', '"format":1')],
    ['a list', () => '[]'],
    ['null', () => 'null'],
    ['not text', () => '\0\xff'],
  ])('takes a file that is %s for none, and writes it anew', (_, damage) => {
    const { dir, file } = kept();
    writeFileSync(file, damage(readFileSync(file, 'utf8')));
    expect(readCache(file, 'key')).toBeUndefined();
    writeCache(dir, file, 'key', VALUE);
    expect(readCache(file, 'key')).toEqual(VALUE);
  });

  it('trusts no file that others can write', () => {
    const { file } = kept();
    chmodSync(file, 0o620);
    expect(readCache(file, 'key')).toBeUndefined();
    chmodSync(file, 0o602);
    expect(readCache(file, 'key')).toBeUndefined();
  });

  it('follows no link and waits for no FIFO', () => {
    const { dir, file } = kept();
    symlinkSync(file, join(dir, 'link'));
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    expect(readCache(join(dir, 'link'), 'key')).toBeUndefined();
    expect(readCache(join(dir, 'fifo'), 'key')).toBeUndefined();
    expect(readCache(dir, 'key')).toBeUndefined();
  });

  it('does without a place to write', () => {
    const dir = scratch();
    writeFileSync(join(dir, 'file'), '');
    const below = join(dir, 'file', 'ezvm');
    expect(() => writeCache(below, join(below, 'x'), 'key', 1)).not.toThrow();
    expect(() => writeCache('/proc/none/ezvm', '/proc/none/ezvm/x', 'key', 1)).not.toThrow();
    mkdirSync(join(dir, 'x.json'));
    writeCache(dir, join(dir, 'x.json'), 'key', 1);
    expect(readdirSync(dir).toSorted()).toEqual(['file', 'x.json']);
  });

  it.skipIf(!IS_ROOT)("neither reads nor writes among another user's files (left out for ordinary users)", async () => {
    const { dir, file } = kept();
    chownSync(file, STRANGER, STRANGER);
    expect(readCache(file, 'key')).toBeUndefined();
    writeCache(dir, file, 'key', 7);
    expect(readCache(file, 'key')).toBe(7);
    chownSync(dir, STRANGER, STRANGER);
    writeCache(dir, file, 'key', 8);
    expect(readCache(file, 'key')).toBe(7);
    const theirs = scratch();
    chmodSync(theirs, 0o755);
    const script = `const { readCache, writeCache } = require('SRC/host/cache.ts');
      writeCache(${JSON.stringify(theirs)}, ${JSON.stringify(join(theirs, 'x'))}, 'key', 1);
      console.log(JSON.stringify(readCache(${JSON.stringify(join(theirs, 'x'))}, 'key') ?? 'none'))`;
    expect(await asStranger(script)).toBe('none');
    expect(readdirSync(theirs)).toEqual([]);
  });
});

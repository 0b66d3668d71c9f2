import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lastLines, openLog } from '../../src/admin/log.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-l-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function lines(text: string, count?: number): string[] {
  const path = join(dir, 'x.log');
  writeFileSync(path, text);
  return lastLines({ path, offset: 0 }, count);
}

describe('the last lines of a log', () => {
  it.each([
    ['', []],
    ['\n\r\n', []],
    ['a\nb', ['a', 'b']],
    ['qemu-system-x86_64: warning: host has no x\nqemu-system-x86_64: no\n', ['qemu-system-x86_64: no']],
    ['qemu-system-x86_64: warning: only this\n', ['qemu-system-x86_64: warning: only this']],
    ['1\n2\n3\n4\n5\n6\n', ['2', '3', '4', '5', '6']],
    ['\x1b[31mred\x1b[0m \x07bell \x9b2J\u0000\n', ['red bell 2J']],
    ['\ttabbed \u00e9\n', ['\ttabbed \u00e9']],
  ])('of %j are %j', (text, expected) => {
    expect(lines(text)).toEqual(expected);
  });

  it('leave out what is said to be no news', () => {
    const path = join(dir, 'x.log');
    writeFileSync(path, 'no such interface\nto start by hand: qrap 5\n');
    expect(lastLines({ path, offset: 0, chatter: ['qrap'] })).toEqual(['no such interface']);
  });

  it('begin where this run did', () => {
    const first = openLog(dir, 'x');
    writeSync(first.fd, 'old\n');
    closeSync(first.fd);
    const second = openLog(dir, 'x');
    writeSync(second.fd, 'new\n');
    closeSync(second.fd);
    expect(lastLines(second)).toEqual(['new']);
    expect(lastLines(first)).toEqual(['old', 'new']);
  });

  it('are whole, of a log of any length', () => {
    const text = Array.from({ length: 5000 }, (_, index) => `line ${index}`).join('\n');
    expect(lines(text, 3)).toEqual(['line 4997', 'line 4998', 'line 4999']);
    expect(lines(text, 10_000)[0]).toMatch(/^line \d{4}$/);
  });

  it('of a log that is gone are none', () => {
    expect(lastLines({ path: join(dir, 'none'), offset: 0 })).toEqual([]);
  });
});

describe('a log', () => {
  it('is put aside when it is long', () => {
    const { path, fd } = openLog(dir, 'x');
    closeSync(fd);
    appendFileSync(path, Buffer.alloc(1024 * 1024 + 1, 'x'));
    const next = openLog(dir, 'x');
    closeSync(next.fd);
    expect(next.offset).toBe(0);
    expect(readFileSync(`${path}.old`).length).toBe(1024 * 1024 + 1);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is not written through a link', () => {
    symlinkSync('/dev/null', join(dir, 'x.log'));
    expect(() => openLog(dir, 'x')).toThrow();
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hasHandler } from '../../src/host/handler.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ezvm-handler-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

it.each([
  ['MimeType=text/plain;x-scheme-handler/spice+unix;', true],
  ['MimeType=x-scheme-handler/spice+unix', true],
  ['MimeType=x-scheme-handler/spice;', false],
  ['Comment=x-scheme-handler/spice+unix;', false],
])('a desktop file with %s is a handler: %s', (line, found) => {
  mkdirSync(join(dir, 'applications', 'more'), { recursive: true });
  writeFileSync(join(dir, 'applications', 'more', 'one.desktop'), `[Desktop Entry]\nType=Application\n${line}\n`);
  expect(hasHandler('spice+unix', { XDG_DATA_DIRS: `/nowhere:${dir}`, HOME: '/nowhere' })).toBe(found);
  expect(hasHandler('spice+unix', { XDG_DATA_HOME: dir, XDG_DATA_DIRS: '/nowhere' })).toBe(found);
  expect(hasHandler('spice+unix', { XDG_DATA_DIRS: '/nowhere', HOME: '/nowhere' })).toBe(false);
});

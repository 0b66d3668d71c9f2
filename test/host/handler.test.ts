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
  ['applications/mimeinfo.cache', '[MIME Cache]\nx-scheme-handler/spice+unix=remote-viewer.desktop;\n', true],
  ['applications/mimeapps.list', '[Default Applications]\nx-scheme-handler/spice+unix=remote-viewer.desktop\n', true],
  ['mimeapps.list', '[Default Applications]\nx-scheme-handler/spice+unix=remote-viewer.desktop\n', true],
  ['applications/mimeinfo.cache', '[MIME Cache]\nx-scheme-handler/spice=remote-viewer.desktop;\n', false],
  // GLib does not look into it.
  ['applications/remote-viewer.desktop', '[Desktop Entry]\nMimeType=x-scheme-handler/spice+unix;\n', false],
])('%s with %j makes a handler known: %s', (file, text, found) => {
  mkdirSync(join(dir, 'applications'));
  writeFileSync(join(dir, file), text);
  const elsewhere = { XDG_DATA_HOME: '/nowhere', XDG_DATA_DIRS: '/nowhere', HOME: '/nowhere' };
  const env = file.includes('/')
    ? { ...elsewhere, XDG_DATA_DIRS: `/nowhere:${dir}` }
    : { ...elsewhere, XDG_CONFIG_HOME: dir };
  expect(hasHandler('spice+unix', env)).toBe(found);
  expect(hasHandler('spice+unix', elsewhere)).toBe(false);
});

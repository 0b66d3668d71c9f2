import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { installSetup, undoSetup } from '../../src/admin/setup.ts';

it('takes the setuid bit from a program that is replaced or removed, for whoever has it open', () => {
  const root = mkdtempSync(join(tmpdir(), 'ezvm-setup-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const path = '/usr/libexec/program';
  const install = (text: string): void =>
    installSetup(root, 'helper', [{ path, bytes: Buffer.from(text), mode: 0o4750 }]);
  const open = (): number => {
    const fd = openSync(join(root, path), 'r');
    onTestFinished(() => closeSync(fd));
    return fd;
  };
  install('old');
  const first = open();
  install('new');
  expect(fstatSync(first).mode & 0o7777).toBe(0);
  expect(statSync(join(root, path)).mode & 0o7777).toBe(0o4750);
  const second = open();
  undoSetup(root);
  expect(fstatSync(second).mode & 0o7777).toBe(0);
});

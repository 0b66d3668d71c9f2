import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { findOwners } from '../../src/admin/owner.ts';

const UID = process.getuid?.() ?? 0;
const IS_ROOT = process.geteuid?.() === 0;

it('those who have a VM of a name up are known by their run directories', () => {
  const root = mkdtempSync(join(tmpdir(), 'ezvm-owner-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  expect(findOwners('vm', root)).toEqual([]);
  const run = join(root, 'run/user', String(UID), 'ezvm');
  mkdirSync(join(run, 'vm'), { recursive: true });
  mkdirSync(join(root, 'run/user/nobody/ezvm/vm'), { recursive: true });
  expect(findOwners('vm', root)).toEqual([UID]);
  expect(findOwners('other', root)).toEqual([]);
  const temporary = join(root, 'tmp', `ezvm-${UID}`);
  mkdirSync(join(temporary, 'other'), { recursive: true });
  mkdirSync(join(temporary, 'vm'));
  expect(findOwners('other', root)).toEqual([UID]);
  expect(findOwners('vm', root)).toEqual([UID]);
  // Everybody may make names there.
  const forged = join(root, 'tmp', `ezvm-${UID + 1}`);
  mkdirSync(join(forged, 'forged'), { recursive: true });
  writeFileSync(join(temporary, 'file'), '');
  symlinkSync(run, join(temporary, 'link'));
  for (const name of ['forged', 'file', 'link']) expect(findOwners(name, root), name).toEqual([]);
  if (IS_ROOT) {
    chownSync(forged, UID + 1, UID + 1);
    expect(findOwners('forged', root)).toEqual([]);
  }
});

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hasPlatformKey } from '../../src/host/variable-store.ts';
import { checkEnrolledKeys } from '../../src/launch/enrolled-keys.ts';
import { scratch } from './scratch.ts';

const GLOBAL = '61dfe48bca93d211aa0d00e098032b8c';

/** A store that holds one variable, with the header of an authenticated one. */
function store({ name = 'PK', state = 0x3f, guid = GLOBAL, before = 100, size = 540672 } = {}): string {
  const bytes = Buffer.alloc(size, 0xff);
  bytes.writeUInt16LE(0x55aa, before);
  bytes.writeUInt8(state, before + 2);
  bytes.write(guid, before + 44, 'hex');
  bytes.write(`${name}\0`, before + 60, 'utf16le');
  const path = join(scratch(), 'efivars.fd');
  writeFileSync(path, bytes);
  return path;
}

it.each([
  ['a platform key', {}, true],
  ['one that is about to be replaced', { state: 0x3e }, true],
  ['one that was deleted', { state: 0x3c }, false],
  ['another variable', { name: 'BootOrder' }, false],
  ['another whose name begins so', { name: 'PKDefault' }, false],
  ["somebody's own PK", { guid: GLOBAL.replace('61', '62') }, false],
  ['a key beyond the variables', { before: 3 * 2 ** 20, size: 4 * 2 ** 20 }, false],
])('finds in a store with %s whether it has a key', (_, what, found) => {
  expect(hasPlatformKey(store(what))).toBe(found);
});

it('says nothing of what is no store', () => {
  const dir = scratch();
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  writeFileSync(join(dir, 'empty'), '');
  for (const name of ['missing', 'empty', 'fifo', '.']) expect(hasPlatformKey(join(dir, name))).toBeUndefined();
});

it('warns of a store without keys, and how it gets them', () => {
  const path = store({ name: 'BootOrder' });
  const origin = { file: 'vm.yaml', line: 3, column: 1 };
  expect(checkEnrolledKeys({ kind: 'enrolled-keys', path, made: true, origin })).toMatchObject({
    severity: 'warning',
    message: expect.stringContaining(path),
    help: expect.stringContaining(`remove ${path}`),
    origin,
  });
  const own = checkEnrolledKeys({ kind: 'enrolled-keys', path, made: false });
  expect(own?.help).not.toContain('remove');
  expect(checkEnrolledKeys({ kind: 'enrolled-keys', path: store(), made: true })).toBeUndefined();
});

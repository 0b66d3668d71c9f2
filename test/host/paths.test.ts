import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probePaths } from '../../src/host/paths.ts';
import { asStranger, IS_ROOT, scratch } from './scratch.ts';

function imageOf(bytes: Buffer): string {
  const path = join(scratch(), 'image');
  writeFileSync(path, bytes);
  return path;
}

describe('probePaths', () => {
  it('tells kinds apart, and follows links', () => {
    const dir = scratch();
    const at = (name: string): string => join(dir, name);
    writeFileSync(at('file'), 'abc');
    symlinkSync('file', at('link'));
    symlinkSync('nowhere', at('dangling'));
    symlinkSync('loop', at('loop'));
    execFileSync('mkfifo', [at('fifo')]);
    const paths = ['file', 'link', 'dangling', 'loop', 'fifo', 'none', 'file/below'].map(at);
    const none = { kind: 'missing', readable: false, writable: false };
    const { dev, ino } = statSync(at('file'));
    const identity = `file ${dev} ${ino}`;
    const file = { kind: 'file', readable: true, writable: true, size: 3, identity, format: 'raw' };
    expect(probePaths([...paths, dir, '/dev/null', '', 'a\0b', 'x'.repeat(5000)])).toEqual({
      [at('file')]: file,
      [at('link')]: file,
      [at('dangling')]: none,
      [at('loop')]: none,
      [at('fifo')]: { kind: 'other', readable: true, writable: true },
      [at('none')]: none,
      [at('file/below')]: none,
      [dir]: { kind: 'directory', readable: true, writable: true },
      '/dev/null': { kind: 'character', readable: true, writable: true },
      '': none,
      'a\0b': none,
      ['x'.repeat(5000)]: none,
    });
  });

  it('knows a socket', async () => {
    const path = join(scratch(), 'sock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(probePaths([path])[path]).toMatchObject({ kind: 'socket' });
    server.close();
  });

  it.each([
    ['raw', Buffer.alloc(2048)],
    ['raw', Buffer.alloc(0)],
    ['raw', Buffer.from('QFI')],
    ['qcow2', Buffer.from('514649fb00000003', 'hex')],
    ['vmdk', Buffer.from('KDMV\x01')],
    ['vmdk', Buffer.from('# Disk DescriptorFile\nversion=1\n')],
    ['vdi', Buffer.concat([Buffer.alloc(64), Buffer.from('7f10dabe', 'hex')])],
    ['vhdx', Buffer.from('vhdxfile')],
    ['vpc', Buffer.from('conectix')],
    ['vpc', Buffer.concat([Buffer.alloc(4096), Buffer.from('conectix'), Buffer.alloc(504)])],
  ])('reads %s from its bytes (%#)', (format, bytes) => {
    const path = imageOf(bytes);
    expect(probePaths([path])[path]).toMatchObject({ kind: 'file', size: bytes.length, format });
  });

  it.skipIf(!existsSync('/usr/bin/qemu-img')).each(['qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc', 'raw'])(
    'agrees with qemu-img about %s (left out where there is none)',
    (format) => {
      const path = join(scratch(), 'image');
      execFileSync('qemu-img', ['create', '-q', '-f', format, path, '1M']);
      expect(probePaths([path])[path]?.format).toBe(format);
    },
  );

  it.skipIf(!existsSync('/usr/bin/qemu-img'))(
    'reads what a qcow2 image is laid over, and its size (left out where there is no qemu-img)',
    () => {
      const dir = scratch();
      const make = (name: string, ...words: string[]): void =>
        void execFileSync('qemu-img', ['create', '-q', '-u', '-f', 'qcow2', ...words, name, '3M'], { cwd: dir });
      make('alone');
      make('near', '-b', 'ö, base', '-F', 'raw');
      make('far', '-b', '/some/base', '-F', 'raw');
      make('net', '-b', 'nbd://localhost/x', '-F', 'raw');
      const [alone, near, far, net] = ['alone', 'near', 'far', 'net'].map((name) => {
        const path = join(dir, name);
        return probePaths([path])[path];
      });
      expect(alone).toMatchObject({ format: 'qcow2', virtualSize: 3 * 2 ** 20 });
      expect(alone?.backing).toBeUndefined();
      expect(near?.backing).toBe(join(dir, 'ö, base'));
      expect(far?.backing).toBe('/some/base');
      expect(net?.backing).toBeUndefined();
      expect(net?.unlisted).toEqual(['nbd://localhost/x']);
      const other = `json:{"driver":"file","filename":"${dir}/alone"}`;
      make('json', '-b', other, '-F', 'raw');
      make('over-json', '-b', 'json', '-F', 'qcow2');
      const unlistedOf = (name: string): readonly string[] | undefined =>
        probePaths([join(dir, name)])[join(dir, name)]?.unlisted;
      expect(['json', 'over-json', 'far'].map(unlistedOf)).toEqual([[other], [other], undefined]);
      expect([alone, near, far].map((one) => one?.backingFormat)).toEqual([undefined, 'raw', 'raw']);
      expect(near?.further).toBeUndefined();
      make('split', '-o', 'data_file=data,data_file_raw=on');
      make('upper', '-b', 'split', '-F', 'qcow2');
      make('top', '-b', 'upper', '-F', 'qcow2');
      make('loop', '-b', 'pool', '-F', 'qcow2');
      make('pool', '-b', 'loop', '-F', 'qcow2');
      make('raw-below', '-b', 'upper', '-F', 'raw');
      const furtherOf = (name: string): readonly string[] | undefined =>
        probePaths([join(dir, name)])[join(dir, name)]?.further;
      expect(furtherOf('split')).toEqual([join(dir, 'data')]);
      expect(furtherOf('top')).toEqual([join(dir, 'split'), join(dir, 'data')]);
      expect(furtherOf('loop')).toEqual([join(dir, 'loop'), join(dir, 'pool')]);
      expect(furtherOf('raw-below')).toBeUndefined();
      make('old', '-o', 'compat=0.10', '-b', 'base', '-F', 'qcow2');
      const old = join(dir, 'old');
      expect(probePaths([old])[old]?.backingFormat).toBe('qcow2');
      // qemu-img before 6.1 left it out; this is what it wrote.
      const header = readFileSync(old);
      header.writeUInt32BE(0x12345678, header.indexOf(Buffer.from('e2792aca', 'hex')));
      writeFileSync(old, header);
      expect(probePaths([old])[old]).toMatchObject({ backing: join(dir, 'base') });
      expect(probePaths([old])[old]?.backingFormat).toBeUndefined();
    },
  );

  it.skipIf(!IS_ROOT)('tells what may not be looked at (left out for ordinary users)', async () => {
    const dir = scratch();
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, 'closed'), { mode: 0o700 });
    writeFileSync(join(dir, 'closed', 'x'), '');
    writeFileSync(join(dir, 'secret'), 'abc', { mode: 0o600 });
    writeFileSync(join(dir, 'public'), 'abc', { mode: 0o644 });
    const paths = [join(dir, 'closed/x'), join(dir, 'secret'), join(dir, 'public')];
    const script = `console.log(JSON.stringify(require('SRC/host/paths.ts').probePaths(${JSON.stringify(paths)})))`;
    expect(Object.values((await asStranger(script)) as object)).toEqual([
      { kind: 'denied', readable: false, writable: false },
      { kind: 'file', readable: false, writable: false, size: 3, identity: expect.any(String) },
      { kind: 'file', readable: true, writable: false, size: 3, identity: expect.any(String), format: 'raw' },
    ]);
  });
});

import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { findKvmfrFaults } from '../../src/host/kvmfr.ts';
import { asStranger, IS_ROOT, scratch } from './scratch.ts';

const MIB = 1024 * 1024;
const DEVICE = '/dev/kvmfr0';

/** Any device that is closed to strangers looks alike. */
const CLOSED = readdirSync('/dev')
  .map((name) => `/dev/${name}`)
  .find((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isCharacterDevice() && stat.uid === 0 && (stat.mode & 0o006) === 0;
  });
const NO_CLOSED = IS_ROOT ? (CLOSED === undefined ? ' (left out: every device is open here)' : '') : ' (needs root)';

let root: string;
beforeEach(() => {
  root = scratch();
  mkdirSync(join(root, 'dev'));
});

function write(path: string, text = ''): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The codes and texts of what is found, and how it is mended. */
function find(path = DEVICE, size = 64): string[] {
  return findKvmfrFaults(path, size * MIB, root).map(({ code, message, help }) => `${code}: ${message} -> ${help}`);
}

describe('a device of the module kvmfr', () => {
  it('is missing where the module is not loaded, or was loaded without a size', () => {
    expect(find()).toEqual([
      'path-missing: device /dev/kvmfr0 does not exist: the module kvmfr is not loaded -> sudo modprobe kvmfr static_size_mb=64',
    ]);
    expect(find('/dev/kvmfr1', 32)[0]).toContain('static_size_mb=32,32');
    write('sys/module/kvmfr/refcnt', '0');
    expect(find()).toEqual([
      'path-missing: device /dev/kvmfr0 does not exist: the module kvmfr was loaded without a size for it -> load it anew: sudo modprobe -r kvmfr && sudo modprobe kvmfr static_size_mb=64',
    ]);
  });

  it('is not the file that a QEMU has made in its place', () => {
    write('dev/kvmfr0', 'frames');
    expect(find()[0]).toMatch(/^path-wrong-kind: \/dev\/kvmfr0 is no device; .*-> sudo rm \/dev\/kvmfr0 && /);
  });

  it('that everybody may use is warned of, with the rule that mends it', () => {
    symlinkSync('/dev/null', join(root, DEVICE));
    const [one, ...others] = findKvmfrFaults(DEVICE, 64 * MIB, root);
    expect(others).toEqual([]);
    expect(one).toMatchObject({ severity: 'warning', code: 'memory-shared' });
    expect(one?.message).toMatch(/everybody on this machine can see the guest's screen .* mode 0666/);
    expect(one?.help).toContain('SUBSYSTEM=="kvmfr", GROUP="kvm", MODE="0660"');
  });

  it.skipIf(NO_CLOSED !== '')(`that is root’s alone is told with its owner and the same rule${NO_CLOSED}`, async () => {
    const script = `console.log(JSON.stringify(require('SRC/host/kvmfr.ts').findKvmfrFaults('${CLOSED}', 1)))`;
    expect(await asStranger(script)).toEqual([
      {
        severity: 'error',
        code: 'path-denied',
        message: expect.stringMatching(
          /^device \/dev\/\S+ cannot be written: it belongs to user 0, group \d+, with mode 0[0-7]+$/,
        ),
        help: expect.stringContaining('GROUP="kvm", MODE="0660"'),
      },
    ]);
  });

  describe('is told to be too small', () => {
    beforeEach(() => symlinkSync('/dev/null', join(root, DEVICE)));
    const small = (path?: string, size?: number): string[] =>
      find(path, size).filter((one) => one.startsWith('memory-small'));

    it('where modprobe’s files say so, in the line to write', () => {
      expect(small()).toEqual([]);
      write('etc/modprobe.d/kvmfr.conf', '# options kvmfr static_size_mb=1\noptions kvmfr static_size_mb=32\n');
      expect(small()).toEqual([
        'memory-small: /dev/kvmfr0 has 32M, says /etc/modprobe.d/kvmfr.conf, and the display wants 64M -> write `options kvmfr static_size_mb=64` there, and load the module anew: sudo modprobe -r kvmfr && sudo modprobe kvmfr',
      ]);
      expect(small(DEVICE, 32)).toEqual([]);
    });

    it('for the device of its number, the others as they are', () => {
      symlinkSync('/dev/null', join(root, '/dev/kvmfr1'));
      write('etc/modprobe.d/kvmfr.conf', 'options kvmfr debug=1 static_size_mb=128,32 other=2\n');
      expect(small()).toEqual([]);
      expect(small('/dev/kvmfr1')[0]).toContain('`options kvmfr static_size_mb=128,64`');
    });

    it('by the file that modprobe reads last, and of one name the first', () => {
      write('etc/modprobe.d/b.conf', 'options kvmfr static_size_mb=32');
      write('usr/lib/modprobe.d/c.conf', 'options kvmfr static_size_mb=16');
      expect(small()[0]).toContain('has 16M, says /usr/lib/modprobe.d/c.conf');
      write('etc/modprobe.d/c.conf', 'options kvmfr static_size_mb=64');
      expect(small()).toEqual([]);
      write('etc/modprobe.d/d.conf.bak', 'options kvmfr static_size_mb=1');
      write('etc/modprobe.d/d.conf', 'options kvmfr-other static_size_mb=1\nsoftdep kvmfr pre: x\n');
      expect(small()).toEqual([]);
    });
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSize, parseSize } from '../../src/core/size.ts';

describe('a size', () => {
  it('is read back from its own spelling', () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.nat({ max: 1023 }), fc.constantFrom(0, 1, 2, 3, 4), (count, power) => {
        expect(parseSize(formatSize(count * 1024 ** power))).toBe(count * 1024 ** power);
      }),
    );
  });

  it.each([
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['1K', 1024],
    ['512M', 512 * 2 ** 20],
    ['16G', 16 * 2 ** 30],
    ['16g', 16 * 2 ** 30],
    ['16GiB', 16 * 2 ** 30],
    ['16GB', 16 * 2 ** 30],
    ['16 G', 16 * 2 ** 30],
    [' 16G ', 16 * 2 ** 30],
    ['1.5G', 1.5 * 2 ** 30],
    ['2T', 2 * 2 ** 40],
    ['1P', 2 ** 50],
  ])('may be written %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    '',
    'G',
    '-1G',
    '+1G',
    '1.G',
    '.5G',
    '1e3',
    '0x10',
    '1,5G',
    '16 cats',
    '1GG',
    '1iB2',
    '0.3',
    '9999P',
    'Infinity',
    'NaN',
    '1\n2',
  ])('is not %j', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  // QEMU takes a number without a unit for megabytes after -m.
  it.each([
    [17179869184, '16G'],
    [1536 * 2 ** 20, '1536M'],
    [1500000, '1500000B'],
    [1, '1B'],
    [0, '0B'],
    [2 ** 53 - 1, '9007199254740991B'],
    [2 ** 50, '1P'],
  ])('of %d bytes is spelled %s, never without a unit', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

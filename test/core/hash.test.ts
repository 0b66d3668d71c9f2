import { describe, expect, it } from 'vitest';
import { stableHash, stableMac, stableUuid } from '../../src/core/hash.ts';

const MANY = Array.from({ length: 20_000 }, (_, index) => `04d064c3-66a1-4aa7-9589-f8b3ecf91cd7:net${index}`);

describe('the hash that identifiers are made of', () => {
  // Another result would give every VM new network cards and disks, and Windows would want to be activated again.
  it.each([
    ['', '13c06836c5657f8bacb9de0bee7fa4a5'],
    ['a', 'b0c8e8817136e385e1735dced577235e'],
    ['b', '3074f549c4dda319e4864e79f4e8f849'],
    ['ezvm:windows-11', 'b06e69d43f81fe5d052b9b3f86b15983'],
    ['04d064c3-66a1-4aa7-9589-f8b3ecf91cd7:net0', '22ff6b80f95ed5e3f6f8ab1ddbb1ef80'],
    ['é😀', '359c55ac456180b23a9608c9ff36526e'],
  ])('never changes: %j', (text, hex) => {
    expect(Buffer.from(stableHash(text)).toString('hex')).toBe(hex);
  });

  it('gives the identifiers that VMs have already', () => {
    expect(stableUuid('ezvm:windows-11')).toBe('b06e69d4-3f81-8e5d-852b-9b3f86b15983');
    expect(stableMac('04d064c3-66a1-4aa7-9589-f8b3ecf91cd7:net0')).toBe('52:54:00:22:ff:6b');
  });

  it('gives well-formed identifiers', () => {
    for (const text of MANY.slice(0, 500)) {
      expect(stableUuid(text)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(stableMac(text)).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
    }
  });

  it('tells texts apart that differ in one place only', () => {
    expect(new Set(MANY.map((text) => stableHash(text).join())).size).toBe(MANY.length);
    // The first eight bytes are a disk's serial number.
    expect(new Set(MANY.map((text) => stableHash(text).slice(0, 8).join())).size).toBe(MANY.length);
    // Among twenty thousand of sixteen million about twelve pairs meet by chance.
    expect(new Set(MANY.map(stableMac)).size).toBeGreaterThan(MANY.length - 40);
  });

  it('uses every bit about as often as not', () => {
    const counts = Array.from({ length: 128 }, () => 0);
    for (const text of MANY)
      for (const [byte, value] of stableHash(text).entries())
        for (let bit = 0; bit < 8; bit++) counts[byte * 8 + bit] = (counts[byte * 8 + bit] ?? 0) + ((value >> bit) & 1);
    for (const count of counts) expect(Math.abs(count - MANY.length / 2)).toBeLessThan(MANY.length * 0.03);
  });
});

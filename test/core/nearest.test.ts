import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/core/nearest.ts';

describe('the nearest word', () => {
  it.each([
    ['scsy', ['virtio', 'scsi', 'sata'], 'scsi'],
    ['windws', ['linux', 'windows-11', 'windows'], 'windows'],
    ['CORES', ['cores', 'sockets'], 'cores'],
    ['coers', ['cores', 'sockets'], 'cores'],
    ['usb', ['usb'], 'usb'],
    ['x', ['usb', 'cpu'], undefined],
    ['completely', ['different', 'words'], undefined],
    ['', ['a'], 'a'],
    ['y'.repeat(65), ['y'.repeat(64)], undefined],
    ['anything', [], undefined],
  ])('to %j among %j is %j', (word, candidates, wanted) => {
    expect(nearest(word, candidates)).toBe(wanted);
  });

  it('is the word itself where it is there, and always one of the candidates', () => {
    const words = fc.array(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.string({ maxLength: 70 }), (candidates, word) => {
        const [first = ''] = candidates;
        expect(nearest(first, candidates)?.toLowerCase()).toBe(first.toLowerCase());
        expect([undefined, ...candidates]).toContain(nearest(word, candidates));
      }),
    );
  });
});

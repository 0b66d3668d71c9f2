import { describe, expect, it } from 'vitest';
import { formatOrigin } from '../../src/core/origin.ts';
import { entryOf, type MapNode, originOf, type SourceNode, toPlain } from '../../src/core/source.ts';

function scalar(value: string | number | null): SourceNode {
  return { kind: 'scalar', at: [1, 1], value };
}

function map(...entries: readonly (readonly [string, SourceNode])[]): MapNode {
  return { kind: 'map', at: [1, 1], entries: entries.map(([key, node]) => ({ key, at: [2, 3], node })) };
}

describe('a source node', () => {
  it('becomes the bare value, in the order in which it was written', () => {
    const node = map(
      ['b', scalar(1)],
      ['a', { kind: 'list', at: [1, 1], items: [scalar(null), map(['x', scalar('y')])] }],
    );
    expect(JSON.stringify(toPlain(node))).toBe('{"b":1,"a":[null,{"x":"y"}]}');
  });

  it('with hostile keys changes no prototype', () => {
    const plain = toPlain(map(['__proto__', map(['polluted', scalar('yes')])], ['constructor', scalar(1)])) as object;
    expect(Object.getPrototypeOf(plain)).toBe(Object.prototype);
    expect(Object.keys(plain)).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('finds its own entries only', () => {
    const node = map(['cpu', scalar(2)]);
    expect(entryOf(node, 'cpu')?.node).toEqual(scalar(2));
    expect(entryOf(node, 'toString')).toBeUndefined();
  });

  it('has a place that editors understand', () => {
    expect(formatOrigin(originOf({ file: 'etc/vm.yaml' }, [7, 10]))).toBe('etc/vm.yaml:7:10');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { MapNode, Scalar, SourceNode } from '../../src/core/source.ts';
import { toPlain } from '../../src/core/source.ts';
import { merge } from '../../src/model/merge.ts';
import { type Layer, Leaf, type Tree, toTree, WRITTEN_AT } from '../../src/model/tree.ts';
import { folderTemplates } from '../checkout.ts';

const { sections } = new Catalog(folderTemplates());

type Plain = Scalar | readonly Plain[] | { readonly [key: string]: Plain };

const scalar = fc.constantFrom<Scalar>('a', 'b', '', 0, 7, true, false);
const keys = fc.constantFrom('p', 'q', 'r', 'constructor', 'toString', '0');

function plain(depth: number, leaves: fc.Arbitrary<Scalar>): fc.Arbitrary<Plain> {
  const leaf = fc.oneof(leaves, fc.array(scalar, { maxLength: 3 }));
  if (depth === 0) return leaf;
  return fc.oneof(
    { weight: 1, arbitrary: leaf },
    { weight: 2, arbitrary: fc.dictionary(keys, plain(depth - 1, leaves), { maxKeys: 4 }) },
  );
}

function layerMaps(leaves: fc.Arbitrary<Scalar>): fc.Arbitrary<{ readonly [key: string]: Plain }> {
  // `vars` and `cpu` are read as they stand and as a section; the rest makes every layer meet every other.
  const names = fc.constantFrom('vars', 'qemu', 'run', 'x');
  return fc.dictionary(names, plain(3, leaves), { maxKeys: 4 });
}

/** Without null, and with it. */
const solid = layerMaps(scalar);
const holed = layerMaps(fc.oneof(scalar, fc.constant(null)));

/** Every node gets a place of its own, by which it can be told again. */
function nodeOf(value: Plain, next: () => number): SourceNode {
  const at = [next(), 1] as const;
  if (Array.isArray(value)) return { kind: 'list', at, items: value.map((item) => nodeOf(item as Plain, next)) };
  if (typeof value === 'object' && value !== null)
    return {
      kind: 'map',
      at,
      entries: Object.entries(value).map(([key, item]) => ({ key, at, node: nodeOf(item as Plain, next) })),
    };
  return { kind: 'scalar', at, value: value as Scalar };
}

function treeOf(value: Plain, rank: number): Tree {
  let line = 0;
  const root = nodeOf(value, () => ++line) as MapNode;
  const layer: Layer = { rank, isTemplate: false, dir: '/', doc: { file: `${rank}.yaml`, root } };
  return toTree(layer, sections);
}

/** The values alone. */
function valuesOf(tree: Tree | Leaf): unknown {
  if (tree instanceof Leaf) return toPlain(tree.node);
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, valuesOf(value)]));
}

/** The values and where each was written. */
function originsOf(tree: Tree | Leaf): unknown {
  if (tree instanceof Leaf) return [toPlain(tree.node), tree.origin, tree.layer.rank];
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, originsOf(value)]));
}

/** What the words of the design say, in as few lines as possible: maps deeply, the rest by replacement. */
function expected(weaker: unknown, stronger: unknown): unknown {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(weaker) || !isMap(stronger)) return stronger;
  const merged: Record<string, unknown> = { ...weaker };
  for (const [key, value] of Object.entries(stronger))
    merged[key] = Object.hasOwn(weaker, key) ? expected(weaker[key], value) : value;
  return merged;
}

function freeze(tree: Tree | Leaf): void {
  Object.freeze(tree);
  if (tree instanceof Leaf) Object.freeze(tree.overrides);
  else for (const value of Object.values(tree)) freeze(value);
}

const layers = fc.array(holed, { maxLength: 5 });

describe('merging layers', () => {
  it('lets the later win: maps deeply, everything else whole', () => {
    fc.assert(
      fc.property(layers, (maps) => {
        const merged = merge(maps.map(treeOf));
        expect(valuesOf(merged)).toEqual(maps.reduce<unknown>(expected, {}));
      }),
    );
  });

  it('is changed by no empty layer, wherever it lies', () => {
    fc.assert(
      fc.property(layers, fc.nat(5), (maps, place) => {
        const trees = maps.map(treeOf);
        const padded = trees.toSpliced(Math.min(place, trees.length), 0, {});
        expect(originsOf(merge(padded))).toEqual(originsOf(merge(trees)));
      }),
    );
  });

  it('gives the same however neighbours are merged first, as long as nothing is deleted', () => {
    fc.assert(
      fc.property(solid, solid, solid, (a, b, c) => {
        const [x, y, z] = [treeOf(a, 0), treeOf(b, 1), treeOf(c, 2)];
        const all = originsOf(merge([x, y, z]));
        expect(originsOf(merge([merge([x, y]), z]))).toEqual(all);
        // A single value between two maps cuts the lower off, so grouping from above may show what it hid.
        fc.pre(!cuts(x, y) && !cuts(merge([x, y]), z) && !cuts(y, z));
        expect(originsOf(merge([x, merge([y, z])]))).toEqual(all);
      }),
    );
  });

  it('gives the same when the weaker are merged beforehand, whatever is deleted', () => {
    fc.assert(
      fc.property(layers, fc.nat(5), (maps, cut) => {
        const trees = maps.map(treeOf);
        const split = [merge(trees.slice(0, cut)), ...trees.slice(cut)];
        expect(originsOf(merge(split))).toEqual(originsOf(merge(trees)));
      }),
    );
  });

  it('deletes by null what is below and nothing above', () => {
    fc.assert(
      fc.property(solid, solid, (a, c) => {
        const gone = Object.fromEntries(Object.keys(a).map((key) => [key, null]));
        expect(valuesOf(merge([treeOf(a, 0), treeOf(gone, 1)]))).toEqual(gone);
        expect(valuesOf(merge([treeOf(a, 0), treeOf(gone, 1), treeOf(c, 2)]))).toEqual({ ...gone, ...c });
      }),
    );
  });

  it('keeps of every leaf where it was written, and what it replaced, nearest first', () => {
    fc.assert(
      fc.property(layers, (maps) => {
        const trees = maps.map(treeOf);
        walk(merge(trees), [], (leaf, path) => {
          const history = historyOf(trees, path);
          const strongest = history.at(-1);
          expect([leaf.node, leaf.origin, leaf.layer.rank]).toEqual([
            strongest?.node,
            strongest?.origin,
            strongest?.layer.rank,
          ]);
          expect(leaf.overrides.map(({ node }) => node)).toEqual(
            history
              .slice(0, -1)
              .reverse()
              .map(({ node }) => node),
          );
        });
      }),
    );
  });

  it('leaves what it was given as it was', () => {
    fc.assert(
      fc.property(layers, (maps) => {
        const trees = maps.map(treeOf);
        const before = JSON.stringify(trees.map(originsOf));
        for (const tree of trees) freeze(tree);
        merge(trees);
        expect(JSON.stringify(trees.map(originsOf))).toBe(before);
      }),
    );
  });

  it('keeps of a map where its strongest layer wrote it', () => {
    const merged = merge([treeOf({ vars: { a: 1 } }, 0), treeOf({ vars: { b: 2 } }, 1)]);
    const vars = merged['vars'];
    expect(vars instanceof Leaf ? undefined : vars?.[WRITTEN_AT]?.layer.rank).toBe(1);
  });

  it('sees to false, zero and the empty text of a stronger layer', () => {
    for (const value of [false, 0, ''])
      expect(valuesOf(merge([treeOf({ vars: { p: 'x' } }, 0), treeOf({ vars: { p: value } }, 1)]))).toEqual({
        vars: { p: value },
      });
  });
});

function at(tree: Tree, path: readonly string[]): Tree | Leaf | undefined {
  return path.reduce<Tree | Leaf | undefined>(
    (node, key) => (node === undefined || node instanceof Leaf || !Object.hasOwn(node, key) ? undefined : node[key]),
    tree,
  );
}

/** The leaves that lay one over another at a path, weakest first, since a map or a value higher up cut them off. */
function historyOf(trees: readonly Tree[], path: readonly string[]): Leaf[] {
  let history: Leaf[] = [];
  for (const tree of trees) {
    const found = at(tree, path);
    const cut = path.some((_, depth) => depth > 0 && at(tree, path.slice(0, depth)) instanceof Leaf);
    if (found instanceof Leaf) history.push(found);
    else if (found !== undefined || cut) history = [];
  }
  return history;
}

function walk(tree: Tree | Leaf, path: readonly string[], visit: (leaf: Leaf, path: readonly string[]) => void): void {
  if (tree instanceof Leaf) visit(tree, path);
  else for (const [key, value] of Object.entries(tree)) walk(value, [...path, key], visit);
}

/** Whether somewhere one has a map where the other has a single value. */
function cuts(a: Tree | Leaf | undefined, b: Tree | Leaf | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a instanceof Leaf || b instanceof Leaf) return a instanceof Leaf !== b instanceof Leaf;
  return Object.keys(a).some((key) => Object.hasOwn(b, key) && cuts(a[key], b[key]));
}

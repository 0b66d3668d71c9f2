import { deepmergeCustom } from 'deepmerge-ts';
import { Leaf, type Tree } from './tree.ts';

const mergeTwo = deepmergeCustom({
  mergeArrays: false,
  mergeMaps: false,
  mergeSets: false,
  // Leaves are class instances, which the library leaves whole and hands over here, weakest first.
  mergeOthers: (values) => values.reduce((weaker, stronger) => overlay(weaker, stronger)),
});

/**
 * Lays layers over one another, weakest first: maps merge deeply, anything else replaces, `null` deletes.
 * Two at a time, because a `null` in the middle must cut off what is below it and nothing above.
 */
export function merge(layers: readonly Tree[]): Tree {
  return layers.reduce<Tree>((weaker, stronger) => mergeTwo(weaker, stronger) as Tree, {});
}

function overlay(weaker: unknown, stronger: unknown): unknown {
  if (!(weaker instanceof Leaf) || !(stronger instanceof Leaf)) return stronger;
  return new Leaf(stronger.node, stronger.layer, [weaker, ...weaker.overrides], stronger.keyAt);
}

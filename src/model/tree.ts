import type { SectionSpec } from '../catalog/template.ts';
import type { Origin } from '../core/origin.ts';
import {
  type ListNode,
  type MapNode,
  originOf,
  type Position,
  type Scalar,
  type ScalarNode,
  type SourceDoc,
  type SourceNode,
} from '../core/source.ts';

/** Where a layer stands: the stronger has the higher rank. */
export interface Layer {
  readonly rank: number;
  /** An OS template, a profile or the defaults, which may say more than a VM file. */
  readonly isTemplate: boolean;
  /** Relative paths in it are taken from here. */
  readonly dir: string;
  readonly doc: SourceDoc;
}

/** A value of the merged tree; the merge keeps it whole. `overrides` are the weaker values it replaced. */
export class Leaf {
  readonly node: ScalarNode | ListNode;
  readonly origin: Origin;
  readonly layer: Layer;
  readonly overrides: readonly Leaf[];
  /** Where its key stands, if it has one. */
  readonly keyAt: Position;

  constructor(node: ScalarNode | ListNode, layer: Layer, overrides: readonly Leaf[] = [], keyAt: Position = node.at) {
    this.node = node;
    this.keyAt = keyAt;
    this.origin = originOf(layer.doc, node.at);
    this.layer = layer;
    this.overrides = overrides;
  }
}

/** Under this key a map of the merged tree keeps the place where its strongest layer wrote it. */
export const WRITTEN_AT: unique symbol = Symbol('written at');

/** What layers say, laid over one another or not yet, by key. */
export interface Tree {
  [key: string]: Leaf | Tree;
  [WRITTEN_AT]?: Leaf;
}

/** Where a value was written; of a map, by its strongest layer. */
export function placeOf(value: Leaf | Tree): Origin | undefined {
  return value instanceof Leaf ? value.origin : value[WRITTEN_AT]?.origin;
}

/** Where the key of a value was written; of a map, by its strongest layer. */
export function keyPlaceOf(value: Leaf | Tree): Origin | undefined {
  const leaf = value instanceof Leaf ? value : value[WRITTEN_AT];
  return leaf && originOf(leaf.layer.doc, leaf.keyAt);
}

/** A leaf that deletes what is below it counts as nothing. */
export function isUnset(value: Leaf | Tree | undefined): boolean {
  return value === undefined || (value instanceof Leaf && value.node.kind === 'scalar' && value.node.value === null);
}

/**
 * One layer as a tree in the one shape that merges: short forms spelled out, lists of devices keyed by id.
 * What the sections hold is judged after the merge.
 */
export function toTree(layer: Layer, sections: readonly SectionSpec[]): Tree {
  const tree: Tree = {};
  const byName = new Map(sections.map((section) => [section.name, section]));
  for (const { key, node } of layer.doc.root.entries) {
    const section = byName.get(key);
    if (!section || section.internal)
      tree[key] = key === 'defaults' ? defaultsTree(node, layer, byName) : plainTree(node, layer);
    else if (section.plural === undefined) tree[key] = deviceTree(node, layer, section);
    else tree[key] = itemsTree(node, layer, section, section.plural);
  }
  return tree;
}

/** Nested maps as trees, everything else as leaves. */
function plainTree(node: SourceNode, layer: Layer, keyAt: Position = node.at): Leaf | Tree {
  if (node.kind !== 'map') return new Leaf(node, layer, [], keyAt);
  const tree: Tree = { [WRITTEN_AT]: placeLeaf(node.at, layer, keyAt) };
  for (const entry of node.entries) tree[entry.key] = plainTree(entry.node, layer, entry.at);
  return tree;
}

function placeLeaf(at: Position, layer: Layer, keyAt: Position = at): Leaf {
  return new Leaf({ kind: 'scalar', at, value: null }, layer, [], keyAt);
}

/** `8` is `{ cores: 8 }`; `off` is `{ type: none }`; `on` is a device of the default type. */
function deviceTree(node: SourceNode, layer: Layer, section: SectionSpec, keyAt: Position = node.at): Leaf | Tree {
  if (node.kind === 'map') return plainTree(node, layer, keyAt);
  if (node.kind === 'list') return { [WRITTEN_AT]: placeLeaf(node.at, layer), [section.short]: new Leaf(node, layer) };
  if (node.value === null) return new Leaf(node, layer);
  const tree: Tree = { [WRITTEN_AT]: placeLeaf(node.at, layer) };
  const word = switchWord(node.value);
  if (word === 'on') return tree;
  if (word === 'off') tree['type'] = new Leaf({ ...node, value: 'none' }, layer);
  else tree[section.short] = new Leaf(node, layer);
  return tree;
}

/** YAML 1.2 reads `off` as text, and it means the same as `false` to whoever writes it. */
function switchWord(value: Scalar): 'on' | 'off' | undefined {
  if (value === true || value === 'on' || value === 'yes') return 'on';
  return value === false || value === 'off' || value === 'no' || value === 'none' ? 'off' : undefined;
}

/** Items of a list get ids by position; a map is keyed by id already; a single value is a list of one. */
function itemsTree(node: SourceNode, layer: Layer, section: SectionSpec, stem: string): Leaf | Tree {
  if (node.kind === 'scalar' && (node.value === null || switchWord(node.value) === 'off'))
    return new Leaf({ kind: 'scalar', at: node.at, value: null }, layer);
  const tree: Tree = { [WRITTEN_AT]: placeLeaf(node.at, layer) };
  if (node.kind === 'map' && !isSingleItem(node, section, stem))
    for (const entry of node.entries) tree[entry.key] = deviceTree(entry.node, layer, section);
  else
    for (const [index, item] of (node.kind === 'list' ? node.items : [node]).entries())
      tree[`${stem}${index}`] = deviceTree(item, layer, section);
  return tree;
}

/** `network: { type: user }` is one item written without its dash; `{ net0: … }` is a map of items. */
function isSingleItem(node: MapNode, section: SectionSpec, stem: string): boolean {
  return (
    node.entries.some(({ key, node: value }) => value.kind !== 'map' && (key === 'type' || key === section.short)) &&
    !node.entries.some(({ key }) => new RegExp(`^${stem}\\d+$`).test(key))
  );
}

function defaultsTree(node: SourceNode, layer: Layer, sections: ReadonlyMap<string, SectionSpec>): Leaf | Tree {
  if (node.kind !== 'map') return new Leaf(node, layer);
  const tree: Tree = { [WRITTEN_AT]: placeLeaf(node.at, layer) };
  for (const entry of node.entries) {
    const section = sections.get(entry.key);
    tree[entry.key] = section
      ? deviceTree(entry.node, layer, section, entry.at)
      : plainTree(entry.node, layer, entry.at);
  }
  return tree;
}

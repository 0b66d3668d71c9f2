import type { Origin } from './origin.ts';

/** A single value, as YAML has them. */
export type Scalar = string | number | boolean | null;

/** Line and column, both from 1. */
export type Position = readonly [line: number, column: number];

/** One value of a YAML file with its place: plain JSON, so that parsed templates can be kept. */
export type SourceNode = ScalarNode | ListNode | MapNode;

/** A single value with its place. */
export interface ScalarNode {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: Scalar;
  /** How a number was spelled: `1.10` is the number 1.1. */
  readonly source?: string;
  /** Written where nobody can quote, as after `--set`: what looks like a number may be meant as text. */
  readonly loose?: true;
}

/** A list with its place. */
export interface ListNode {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly SourceNode[];
}

/** A map with its place, its keys in the order in which they were written. */
export interface MapNode {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: readonly MapEntry[];
}

/** A key of a map with its place, and what stands there. */
export interface MapEntry {
  readonly key: string;
  readonly at: Position;
  readonly node: SourceNode;
}

/** A YAML file after parsing; `root` is a map, empty for an empty file. */
export interface SourceDoc {
  readonly file: string;
  readonly root: MapNode;
}

/** A place in a file as an origin. */
export function originOf(doc: { readonly file: string }, at: Position): Origin {
  return { file: doc.file, line: at[0], column: at[1] };
}

/** The bare value without places. Key order is kept; a `__proto__` key is an own property like any other. */
export function toPlain(node: SourceNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(toPlain);
    case 'map': {
      const result: Record<string, unknown> = {};
      for (const entry of node.entries)
        Object.defineProperty(result, entry.key, {
          value: toPlain(entry.node),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      return result;
    }
  }
}

/** The node under `key`, if there is one. */
export function entryOf(map: MapNode, key: string): MapEntry | undefined {
  return map.entries.find((entry) => entry.key === key);
}

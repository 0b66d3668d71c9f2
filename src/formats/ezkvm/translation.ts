import { listOf } from '../../catalog/expected.ts';
import { showValue, suggestion } from '../../catalog/params.ts';
import type { Diagnostic } from '../../core/diagnostic.ts';
import {
  type MapEntry,
  type MapNode,
  originOf,
  type Position,
  type Scalar,
  type ScalarNode,
  type SourceDoc,
  type SourceNode,
} from '../../core/source.ts';

/** What an ezkvm file becomes, piece by piece; every piece keeps the place of what it was made from. */
export class Translation {
  readonly diagnostics: Diagnostic[] = [];
  readonly #doc: SourceDoc;
  readonly #entries = new Map<string, MapEntry>();
  readonly #patches = new Map<string, MapEntry[]>();
  readonly #words: SourceNode[] = [];

  constructor(doc: SourceDoc) {
    this.#doc = doc;
  }

  /** Something that a person should know, though the VM can start. */
  note(code: string, at: Position, message: string, help?: string): void {
    this.diagnostics.push({ severity: 'note', code, message, help, origin: originOf(this.#doc, at) });
  }

  /** Something that is most likely a slip, though ezkvm passes over it as well. */
  warn(code: string, at: Position, message: string, help?: string): void {
    this.diagnostics.push({ severity: 'warning', code, message, help, origin: originOf(this.#doc, at) });
  }

  refuse(code: string, at: Position, message: string, help?: string): void {
    this.diagnostics.push({ severity: 'error', code, message, help, origin: originOf(this.#doc, at) });
  }

  /** Writes a section, or lays more keys into one that is a map already. */
  put(key: string, node: SourceNode): void {
    const before = this.#entries.get(key)?.node;
    const joined =
      before?.kind === 'map' && node.kind === 'map'
        ? { ...before, entries: [...before.entries, ...node.entries] }
        : node;
    this.#entries.set(key, { key, at: node.at, node: joined });
  }

  /** How many items a section has by now. */
  size(key: string): number {
    const node = this.#entries.get(key)?.node;
    return node?.kind === 'map' ? node.entries.length : 0;
  }

  /** A property of an option as QEMU has it, for what no section has a key for. */
  patch(target: string, property: string, node: SourceNode): void {
    const [outer = '', ...inner] = property.split('.');
    const value = inner.reduceRight<SourceNode>((made, key) => mapOf(node.at, { [key]: made }), node);
    this.#patches.set(target, [...(this.#patches.get(target) ?? []), { key: outer, at: node.at, node: value }]);
  }

  /** A word at the end of QEMU's command line. */
  append(node: SourceNode): void {
    this.#words.push(node);
  }

  /** The whole as a VM file. */
  finish(): SourceDoc {
    const at = this.#doc.root.at;
    const patches = [...this.#patches].map(([key, entries]): MapEntry => {
      const place = entries[0]?.at ?? at;
      // A later wish for the same property wins, as it does in QEMU's own options.
      const last = new Map(entries.map((entry) => [entry.key, entry]));
      return { key, at: place, node: { kind: 'map', at: place, entries: [...last.values()] } };
    });
    if (patches.length > 0) this.put('qemu', mapOf(at, { set: { kind: 'map', at, entries: patches } }));
    const [word] = this.#words;
    if (word) this.put('qemu', mapOf(word.at, { args: { kind: 'list', at: word.at, items: this.#words } }));
    return { file: this.#doc.file, root: { kind: 'map', at, entries: [...this.#entries.values()] } };
  }
}

/** A map of those values that are there. */
export function mapOf(at: Position, values: { readonly [key: string]: SourceNode | undefined }): MapNode {
  const entries = Object.entries(values).flatMap(([key, node]) => (node ? [{ key, at: node.at, node }] : []));
  return { kind: 'map', at, entries };
}

/** A value of the translator's own making, at the place of what it stands for. */
export function scalar(at: Position, value: Scalar): ScalarNode {
  return { kind: 'scalar', at, value };
}

/** One map of an ezkvm file. What is not asked for until `close` is unknown. */
export class Reader {
  readonly at: Position;
  readonly path: string;
  readonly #map: MapNode;
  readonly #out: Translation;
  readonly #known = new Set<string>();

  constructor(node: SourceNode | undefined, path: string, out: Translation) {
    const isEmpty = node === undefined || (node.kind === 'scalar' && node.value === null);
    if (!isEmpty && node.kind !== 'map')
      out.refuse(
        'value-wrong',
        node.at,
        `${path} is ${node.kind === 'list' ? 'a list' : 'a single value'}; a map is wanted`,
      );
    this.at = node?.at ?? [1, 1];
    this.#map = node?.kind === 'map' ? node : { kind: 'map', at: this.at, entries: [] };
    this.path = path;
    this.#out = out;
  }

  /** The entry under `key`, unless it is missing or null. */
  entry(key: string): MapEntry | undefined {
    this.#known.add(key);
    const entry = this.#map.entries.find((each) => each.key === key);
    return entry?.node.kind === 'scalar' && entry.node.value === null ? undefined : entry;
  }

  /** The map under `key`, empty where there is none. */
  map(key: string): Reader {
    const entry = this.entry(key);
    return new Reader(entry?.node ?? { kind: 'scalar', at: this.at, value: null }, this.#name(key), this.#out);
  }

  /** The maps of the list under `key`. */
  maps(key: string): Reader[] {
    return this.list(key).map((item, index) => new Reader(item, `${this.#name(key)}[${index}]`, this.#out));
  }

  /** The items of the list under `key`. */
  list(key: string): readonly SourceNode[] {
    const node = this.entry(key)?.node;
    if (node && node.kind !== 'list') this.#out.refuse('value-wrong', node.at, `${this.#name(key)} is no list`);
    return node?.kind === 'list' ? node.items : [];
  }

  /** A single value as text: ezkvm takes numbers for it, and knows no references. */
  text(key: string): (ScalarNode & { readonly value: string }) | undefined {
    const node = this.entry(key)?.node;
    if (!node) return undefined;
    if (node.kind === 'scalar') return { kind: 'scalar', at: node.at, value: plainText(node) };
    this.#out.refuse('value-wrong', node.at, `${this.#name(key)} is a ${node.kind}; a single value is wanted`);
    return undefined;
  }

  /** A switch, in all the spellings that ezkvm's files have. */
  switch(key: string): (ScalarNode & { readonly value: boolean }) | undefined {
    const node = this.text(key);
    if (!node) return undefined;
    if (/^(true|on|yes|unmap)$/i.test(node.value)) return { ...node, value: true };
    if (/^(false|off|no|ignore)$/i.test(node.value)) return { ...node, value: false };
    this.#out.refuse('value-wrong', node.at, `${this.#name(key)} is ${showValue(node.value)}; on or off is wanted`);
    return undefined;
  }

  /** One of the words that ezkvm knows there; undefined, and told, when it is another. */
  word(key: string, words: readonly string[]): string | undefined {
    const node = this.text(key);
    if (!node || words.includes(node.value)) return node?.value;
    const message = `${this.#name(key)} is ${showValue(node.value)}; use ${listOf(words)}`;
    this.#out.refuse('type-unknown', node.at, message, suggestion(node.value, words));
    return undefined;
  }

  /** Says what becomes of a key that ezkvm reads and forgets, where it is there. */
  ignored(key: string, what: string): void {
    const entry = this.entry(key);
    if (entry) this.#out.note('ezkvm-ignored', entry.at, `ezkvm ignored ${this.#name(key)}; ${what}`);
  }

  /** A value that must be there. */
  required(key: string): (ScalarNode & { readonly value: string }) | undefined {
    const node = this.text(key);
    if (!node && !this.entry(key)) this.#out.refuse('key-missing', this.at, `${this.path} needs ${key}`);
    return node;
  }

  /** Warns of the keys that were not asked for, which ezkvm passes over without a word. */
  close(): void {
    for (const { key, at } of this.#map.entries)
      if (!this.#known.has(key)) {
        const known = [...this.#known];
        const help = suggestion(key, known) ?? `known are ${known.join(' ')}`;
        const where = this.path === '' ? 'the file' : this.path;
        this.#out.warn(
          'key-unknown',
          at,
          `${where} has no key ${showValue(key)} in ezkvm's files; it is ignored`,
          help,
        );
      }
  }

  #name(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

/** Text as it was written; `$${` is how a VM file writes the two characters `${`. */
export function plainText(node: ScalarNode): string {
  return (node.source ?? String(node.value)).replaceAll('${', () => '$${');
}

import { Composer, isAlias, isMap, isScalar, isSeq, type Node, type Pair, Parser } from 'yaml';
import { shorten } from '../catalog/params.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { MapEntry, MapNode, Position, Scalar, SourceDoc, SourceNode } from '../core/source.ts';
import { explainSyntax, findOpening, findTooDeep, positionsIn } from './syntax.ts';

/** Far above any VM file that a person writes, far below what would be slow. */
const MAX_CHARACTERS = 64 * 1024;
const MAX_DEPTH = 64;
/** With what aliases stand for, so that a few lines cannot become millions. */
const MAX_NODES = 10_000;
/** Where there are more, something else than single mistakes is wrong. */
const MAX_FAULTS = 200;

/**
 * Reads strict YAML: a map at the top, one document, no anchors, aliases, tags or merge keys, no duplicate keys.
 * @param file the name that origins carry
 * @param aliases whether anchors and aliases are taken, as in files of another program's; then merge keys are plain keys
 * @returns the document, and every fault found; with a fault, the document holds what could be understood
 */
export function parse(
  text: string,
  file: string,
  aliases: 'refused' | 'taken' = 'refused',
): { doc: SourceDoc; diagnostics: Diagnostic[] } {
  const empty: SourceDoc = { file, root: { kind: 'map', at: [1, 1], entries: [] } };
  const refused = findUnreadable(text, file);
  if (refused) return { doc: empty, diagnostics: [refused] };

  // The parser works with a stack of its own, the composer recurses and must not be led too deep.
  const tokens = [...new Parser().parse(text)];
  const at = positionsIn(text);
  const diagnostics: Diagnostic[] = [];
  const report = (code: string, offset: number, message: string, help?: string): void => {
    if (diagnostics.length >= MAX_FAULTS) return;
    const [line, column] = at(offset);
    diagnostics.push({ severity: 'error', code, message, help, origin: { file, line, column } });
  };

  const deep = findTooDeep(tokens, MAX_DEPTH);
  if (deep !== undefined) {
    report('yaml-too-deep', deep, `nested more than ${MAX_DEPTH} levels deep`, 'a VM file needs four levels at most');
    return { doc: empty, diagnostics };
  }
  for (const token of tokens)
    if (token.type === 'directive')
      report(
        'yaml-directive',
        token.offset,
        `the directive ${shorten(token.source)} is not allowed`,
        'remove the line',
      );
  // Its own check for keys given twice is quadratic; the walk below does it.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false });
  const [document, second] = composer.compose(tokens, true, text.length);
  for (const error of (document?.errors ?? []).slice(0, MAX_FAULTS))
    report(
      'yaml-syntax',
      findOpening(tokens, error.message, error.pos[0]) ?? error.pos[0],
      ...explainSyntax(error.code, error.message),
    );
  if (second && second.range[0] < text.length)
    report(
      'yaml-syntax',
      second.range[0],
      'the file holds more than one YAML document',
      'one file is one VM: remove the `---` line or split the file',
    );
  const walker = new Walker(report, at, aliases === 'taken');
  const root = document?.contents ? walker.node(document.contents, 0) : empty.root;
  if (root.kind === 'map') return { doc: { file, root }, diagnostics };
  if (root.kind === 'scalar' && root.value === null) return { doc: empty, diagnostics };
  if (diagnostics.length === 0)
    report(
      'yaml-not-a-map',
      0,
      `the file holds a ${root.kind === 'list' ? 'list' : 'single value'}, not settings`,
      'write `key: value` lines, such as `template: linux`',
    );
  return { doc: empty, diagnostics };
}

function findUnreadable(text: string, file: string): Diagnostic | undefined {
  const diagnostic = (code: string, message: string, help: string, offset = 0): Diagnostic => {
    const before = text.slice(0, offset).split('\n');
    const origin = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    return { severity: 'error', code, message, help, origin };
  };
  if (text.length > MAX_CHARACTERS)
    return diagnostic(
      'file-too-large',
      `the file has ${text.length} characters; ${MAX_CHARACTERS} is the most that is read`,
      'this does not look like a VM file: give the YAML file, not a disk image',
    );
  const control = /(?![\t\n\r\u0085])\p{Cc}/u.exec(text);
  if (control)
    return diagnostic(
      'file-not-text',
      `the file holds the control character U+${control[0].charCodeAt(0).toString(16).padStart(4, '0')}`,
      'this is not a text file, or it was damaged; in a quoted value it may be written as an escape such as "\\t"',
      control.index,
    );
  return undefined;
}

/** Both can be written as escapes, and neither can stand in an argument of a program. */
const UNSPEAKABLE = /\0|\p{Surrogate}/u;

type Report = (code: string, offset: number, message: string, help?: string) => void;

/** Turns the parser's tree into SourceNodes, refusing what strict YAML leaves out. */
class Walker {
  readonly #report: Report;
  readonly #at: (offset: number) => Position;
  readonly #takesAliases: boolean;
  /** What anchors stand for, so far, and of how many nodes it is made. */
  readonly #anchors = new Map<string, { readonly node: SourceNode; readonly size: number }>();
  #size = 0;

  constructor(report: Report, at: (offset: number) => Position, takesAliases: boolean) {
    this.#report = report;
    this.#at = at;
    this.#takesAliases = takesAliases;
  }

  /** A node; where aliases are taken it is kept for those of its anchor, and an alias is what its anchor stands for. */
  node(node: Node, fallback: number): SourceNode {
    const found = this.#takesAliases && isAlias(node) ? this.#anchors.get(node.source) : undefined;
    if (found && this.#size + found.size <= MAX_NODES) {
      this.#size += found.size;
      return found.node;
    }
    const before = this.#size++;
    const walked = this.#walk(node, fallback);
    if (this.#takesAliases && !isAlias(node) && node.anchor !== undefined)
      this.#anchors.set(node.anchor, { node: walked, size: this.#size - before });
    return walked;
  }

  #walk(node: Node, fallback: number): SourceNode {
    const offset = node.range?.[0] ?? fallback;
    const at = this.#at(offset);
    if (isAlias(node)) {
      this.#report(
        'yaml-alias',
        offset,
        this.#takesAliases
          ? `the alias *${shorten(node.source)} stands for nothing before it, or for too much`
          : `the alias *${shorten(node.source)} is not allowed`,
        this.#takesAliases ? 'write the value out' : 'write the value out, or use `vars:` and `${vars.name}`',
      );
      return { kind: 'scalar', at, value: null };
    }
    if (node.anchor !== undefined && !this.#takesAliases)
      this.#report(
        'yaml-anchor',
        offset,
        `the anchor &${shorten(node.anchor)} is not allowed`,
        'use `vars:` and `${vars.name}` to write a value once',
      );
    if (node.tag !== undefined && node.tag !== 'tag:yaml.org,2002:map' && node.tag !== 'tag:yaml.org,2002:seq')
      this.#report(
        'yaml-tag',
        offset,
        `the tag ${shorten(node.tag.replace('tag:yaml.org,2002:', '!!'))} is not allowed`,
        'remove it; quote the value to make it text',
      );
    if (isMap(node)) return this.#map(node.items as Pair[], at, offset);
    if (isSeq(node)) return { kind: 'list', at, items: (node.items as Node[]).map((item) => this.node(item, offset)) };
    if (!isScalar(node)) return { kind: 'scalar', at, value: null };
    return { kind: 'scalar', at, ...this.#scalar(node.value, node.source, offset) };
  }

  #map(pairs: readonly Pair[], at: Position, offset: number): MapNode {
    const entries: MapEntry[] = [];
    const seen = new Set<string>();
    for (const pair of pairs) {
      const key = pair.key as Node | null;
      const keyOffset = key?.range?.[0] ?? offset;
      if (!isScalar(key) || key.value === null || typeof key.value === 'object') {
        this.#report('yaml-key', keyOffset, 'a key must be a single word', 'as in `key: value`');
        continue;
      }
      const name = key.source ?? String(key.value);
      if (UNSPEAKABLE.test(name)) {
        this.#report('character-refused', keyOffset, 'the key holds a character that no program can be given');
        continue;
      }
      if (name === '<<' && !this.#takesAliases) {
        this.#report(
          'yaml-merge-key',
          keyOffset,
          'merge keys (<<) are not allowed',
          'put what several VMs share into a profile',
        );
        continue;
      }
      if (name === '__proto__') {
        this.#report('yaml-key', keyOffset, 'the key __proto__ is not allowed');
        continue;
      }
      if (key.anchor !== undefined || key.tag !== undefined)
        this.#report('yaml-key', keyOffset, `the key ${shorten(name)} carries an anchor or a tag`, 'remove it');
      if (seen.has(name)) {
        this.#report('yaml-key-twice', keyOffset, `the key ${shorten(name)} is given twice`, 'keep one of the two');
        continue;
      }
      seen.add(name);
      const keyAt = this.#at(keyOffset);
      const node = pair.value
        ? this.node(pair.value as Node, keyOffset)
        : ({ kind: 'scalar', at: keyAt, value: null } as const);
      entries.push({ key: name, at: keyAt, node });
    }
    return { kind: 'map', at, entries };
  }

  #scalar(value: unknown, source: string | undefined, offset: number): { value: Scalar; source?: string } {
    if (typeof value === 'string' && UNSPEAKABLE.test(value)) {
      const what = value.includes('\0') ? 'a NUL character' : 'half of a surrogate pair';
      this.#report('character-refused', offset, `the value holds ${what}, which no program can be given`);
      return { value: null };
    }
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return { value };
    if (typeof value === 'number') return source === undefined ? { value } : { value, source };
    return { value: String(value) };
  }
}

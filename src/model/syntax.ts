import type { CST } from 'yaml';
import type { Position } from '../core/source.ts';

/** Gives line and column of an offset. The library's own counter misses line ends in what it cannot understand. */
export function positionsIn(text: string): (offset: number) => Position {
  const starts = [0];
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  return (offset) => {
    const within = Math.min(offset, text.length);
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= within) low = middle;
      else high = middle;
    }
    return [low + 1, within - (starts[low] ?? 0) + 1];
  };
}

/** Every token with how deep it lies, in no order; `most` bounds how deep to look. */
function* tokensIn(tokens: readonly CST.Token[], most: number): Generator<{ token: CST.Token; depth: number }> {
  const stack = tokens.map((token) => ({ token, depth: 0 }));
  for (let each = stack.pop(); each; each = stack.pop()) {
    yield each;
    const { token, depth } = each;
    if (token.type === 'document' && token.value) stack.push({ token: token.value, depth });
    if ('items' in token && depth < most)
      for (const { key, value } of token.items)
        for (const inner of [key, value]) if (inner) stack.push({ token: inner, depth: depth + 1 });
  }
}

/** The offset of the first collection that lies more than `most` levels deep, if there is one. */
export function findTooDeep(tokens: readonly CST.Token[], most: number): number | undefined {
  let first: number | undefined;
  for (const { token, depth } of tokensIn(tokens, most))
    if ('items' in token && depth >= most) first = Math.min(first ?? token.offset, token.offset);
  return first;
}

/** Where the quote or bracket opens that a complaint at `offset` says is not closed. */
export function findOpening(tokens: readonly CST.Token[], message: string, offset: number): number | undefined {
  const isQuote = message.startsWith('Missing closing');
  if (!isQuote && !UNCLOSED.test(message)) return undefined;
  let last: number | undefined;
  for (const { token } of tokensIn(tokens, Number.POSITIVE_INFINITY)) {
    const opens =
      token.type === 'flow-collection'
        ? !isQuote && token.offset < offset && !token.end.some(({ type }) => /^flow-(map|seq)-end$/.test(type))
        : isQuote && /-quoted-scalar$/.test(token.type) && token.offset + sourceOf(token).length === offset;
    if (opens) last = Math.max(last ?? 0, token.offset);
  }
  return last;
}

const UNCLOSED = /^Flow .* end with a /;

function sourceOf(token: CST.Token): string {
  return 'source' in token ? token.source : '';
}

/** What a complaint of the YAML library means to somebody who writes a VM file, and how to mend it. */
export function explainSyntax(code: string, message: string): readonly [message: string, help: string] {
  const [, own, help] = EXPLAINED.find(([pattern]) => pattern.test(`${code} ${message}`)) ?? [];
  const text = (own ?? message).slice(0, 200).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
  return [text, help ?? 'is a quote, comma or bracket missing here, or too many?'];
}

/** The first that matches code and message counts. */
const EXPLAINED: readonly (readonly [pattern: RegExp, message: string | undefined, help: string])[] = [
  [
    /^BAD_DQ_ESCAPE/,
    undefined,
    'in double quotes a backslash starts an escape: double it, or put the value in single quotes',
  ],
  [/Missing closing/, 'the quote that opens here is never closed', 'write the closing quote'],
  [
    / Flow .* end with a /,
    'the bracket that opens here is never closed',
    'write the closing bracket, and indent the lines up to it',
  ],
  [
    / Implicit map keys need|^MULTILINE_IMPLICIT_KEY/,
    'this is no `key: value` line',
    'write a colon and a blank after the key; what belongs to the line above is indented more than that',
  ],
  [
    / Sequence item without/,
    'this line is indented neither like the items of the list nor like their keys',
    'an item begins with a dash; its keys stand below one another',
  ],
  [/^BAD_INDENT/, undefined, 'the keys of one map start in the same column'],
  [/^BAD_SCALAR_START/, undefined, 'put the value in quotes'],
  [
    /^BLOCK_AS_IMPLICIT_KEY/,
    'a second `key:` stands in one line, or a value holds `: ` without quotes',
    'begin a line for the second key, or put the value in quotes',
  ],
  [/^BLOCK_IN_FLOW/, undefined, 'between brackets all is written with commas, without lines that start with a dash'],
  [/^KEY_OVER_1024_CHARS/, 'this key is longer than 1024 characters', 'this does not look like a VM file'],
  [/^TAB_AS_INDENT/, 'a tab indents this line; YAML allows blanks only', 'replace the tab by blanks'],
];

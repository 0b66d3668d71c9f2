import type { CST } from 'yaml';

/** The offset of the first collection that lies more than `most` levels deep, if there is one. */
export function findTooDeep(tokens: readonly CST.Token[], most: number): number | undefined {
  const stack = tokens.map((token) => ({ token, depth: 0 }));
  let first: number | undefined;
  for (let each = stack.pop(); each; each = stack.pop()) {
    const { token, depth } = each;
    if (token.type === 'document' && token.value) stack.push({ token: token.value, depth });
    if (!('items' in token)) continue;
    if (depth >= most) {
      first = Math.min(first ?? token.offset, token.offset);
      continue;
    }
    for (const { key, value } of token.items)
      for (const inner of [key, value]) if (inner) stack.push({ token: inner, depth: depth + 1 });
  }
  return first;
}

/** What a complaint of the YAML library means to somebody who writes a VM file, and how to mend it. */
export function explainSyntax(code: string, message: string): [message: string, help?: string] {
  const [own, help] = EXPLAINED[code] ?? [];
  const text = (own ?? message).slice(0, 200).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
  return help === undefined ? [text] : [text, help];
}

const EXPLAINED: { readonly [code: string]: readonly [message: string | undefined, help: string] } = {
  BAD_DQ_ESCAPE: [
    undefined,
    'in double quotes a backslash starts an escape: double it, or put the value in single quotes',
  ],
  BAD_INDENT: [undefined, 'the keys of one map start in the same column'],
  BAD_SCALAR_START: [undefined, 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second `key:` stands in one line, or a value holds `: ` without quotes',
    'begin a line for the second key, or put the value in quotes',
  ],
  BLOCK_IN_FLOW: [undefined, 'between [ ] or { } all is written with commas, without lines that start with - '],
  KEY_OVER_1024_CHARS: ['this key is longer than 1024 characters', 'this does not look like a VM file'],
  MISSING_CHAR: [undefined, 'is a colon, comma, quote or bracket missing here?'],
  MULTILINE_IMPLICIT_KEY: [
    'this is no `key: value` line',
    'is a colon missing, or is this line not indented like the one above?',
  ],
  TAB_AS_INDENT: ['a tab indents this line; YAML allows blanks only', 'replace the tab by blanks'],
};

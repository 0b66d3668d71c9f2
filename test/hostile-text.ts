import fc from 'fast-check';

/** Bits that mean something to YAML, a shell, QEMU's option syntaxes or a terminal. */
const BITS = [
  ...[',', ',,', '=', '==', ':', ': ', ' #', '#', '-', '--', '- ', '? ', '|', '>', '&a', '*a', '!', '%', '@', '`', '~'],
  ...['"', "'", '\\', '\\n', '\n', '\r\n', '\r', '\t', ' ', '  ', '{', '}', '[', ']', '{}', '$', '$$', '$(id)', '`id`'],
  ...['${', '$${', '${x}', '${vm.name}', '%s', '%00', 'on', 'off', 'null', 'true', '1.10', '0x1f', '1e3', '-0', '~/'],
  ...[',id=x', ',server=on', '"}', '","driver":"x', '\u001b[31m', '\u0007', '\u007f', '\u009b2J', '\u0085', '\u2028'],
  ...[
    '\ufeff',
    '\u202e',
    'é',
    'e\u0301',
    '日本',
    '😀',
    '\ufffd',
    '\ud83d\ude00\u200d',
    '../',
    '/',
    '//',
    '.',
    '..',
    'a',
  ],
];

/** Text of the nastiest kind that a program can be given: no NUL and no half of a surrogate pair. */
export function hostileText(): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.constantFrom(...BITS), { maxLength: 8 }).map((bits) => bits.join('')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')) },
    { weight: 1, arbitrary: fc.constantFrom(...BITS) },
    // What is escaped once is not always escaped twice.
    { weight: 2, arbitrary: fc.constantFrom(...BITS).map((bit) => `a${bit}b${bit}${bit}c`) },
  );
}

/** Hostile text, in YAML's double quotes; `$${` is how a VM file writes the two characters `${`. */
export function inYaml(text: string): string {
  const escaped = JSON.stringify(text.replaceAll('${', () => '$${'));
  return escaped.replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

import { describe, expect, it } from 'vitest';
import { printable, printDiagnostics } from '../../src/cli/print/diagnostics.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';

function print(diagnostics: readonly Diagnostic[], text = ''): string {
  return printDiagnostics(diagnostics, { colour: false, source: (file) => (file === 'gone' ? undefined : text) });
}

function at(line: number, column: number, file = 'f', severity: Diagnostic['severity'] = 'error'): Diagnostic {
  return { severity, code: 'x', message: `at ${line}:${column}`, origin: { file, line, column } };
}

/** The last line of the frame of a fault at some column of a line. */
function caret(line: string, column: number): string[] {
  return print([at(1, column)], line)
    .split('\n')
    .slice(1, 3);
}

describe('a diagnostic in print', () => {
  it('has its place first, then a frame and help', () => {
    const text = print([{ ...at(2, 3), help: 'mend it' }], 'one\ntwo three\n');
    expect(text).toBe('f:2:3  at 2:3\n    2 | two three\n      |   ^\n  help: mend it\n');
  });

  it('says what it is where it is no error, or has no place', () => {
    expect(
      print([
        at(9, 1, 'f', 'warning'),
        { severity: 'error', code: 'x', message: 'm' },
        { severity: 'note', code: 'x', message: 'n' },
      ]),
    ).toBe('note: n\nf:9:1  warning: at 9:1\nerror: m\n');
  });

  it('stands in the order of reading, errors last', () => {
    const shuffled = [
      at(3, 1, 'b'),
      at(2, 5, 'a'),
      at(1, 1, 'b'),
      { severity: 'error', code: 'x', message: 'no place' } as const,
      at(2, 1, 'a'),
      at(9, 9, 'a', 'warning'),
    ];
    expect(print(shuffled).match(/^.*(at|place).*$/gm)).toEqual([
      'a:9:9  warning: at 9:9',
      'b:1:1  at 1:1',
      'b:3:1  at 3:1',
      'a:2:1  at 2:1',
      'a:2:5  at 2:5',
      'error: no place',
    ]);
  });

  it('is one of the first forty, and the number of the others is told', () => {
    const text = print(Array.from({ length: 50 }, (_, index) => at(50 - index, 1)));
    expect(text.match(/^f:/gm)).toHaveLength(40);
    expect(text).toMatch(/^f:1:1 /);
    expect(text).toMatch(/\(10 more are not shown\)\n$/);
  });

  it.each([
    ['plain', 'abc def', 5, ['    1 | abc def', '      |     ^']],
    ['after a tab', '\tabc', 2, ['    1 |  abc', '      |  ^']],
    ['after wide letters', '日本: x', 5, ['    1 | 日本: x', '      |       ^']],
    ['after a picture', '😀: x', 5, ['    1 | 😀: x', '      |     ^']],
    ['after a combined letter', 'e\u0301: x', 5, ['    1 | e\u0301: x', '      |    ^']],
    ['after what is escaped', '\u001b: x', 4, ['    1 | \\x1b: x', '      |       ^']],
    ['at the end of a line', 'abc', 4, ['    1 | abc', '      |    ^']],
    ['in a line with CR', 'abc\r', 1, ['    1 | abc', '      | ^']],
  ])('points at its column %s', (_, line, column, frame) => {
    expect(caret(line, column)).toEqual(frame);
  });

  it('shows of a long line what is around, and no half letters', () => {
    for (const letter of ['x', '😀', '日'])
      for (const column of [1, 61, 62, 200, 400]) {
        const [shown = '', below = ''] = caret(letter.repeat(500), column);
        expect(shown.length).toBeLessThan(120);
        expect(shown).not.toMatch(/\p{Surrogate}/u);
        expect(below).toMatch(/^ +\| *\^$/);
      }
    for (const column of [1, 61, 200, 400]) {
      const [shown = '', below = ''] = caret(`${'-'.repeat(column - 1)}!${'-'.repeat(500 - column)}`, column);
      expect(shown.indexOf('!')).toBe(below.indexOf('^'));
    }
  });

  it('does without a frame where there is no text', () => {
    expect(print([at(1, 1, 'gone')])).toBe('gone:1:1  at 1:1\n');
    expect(print([at(7, 1)], 'one line')).toBe('f:7:1  at 7:1\n');
  });

  it('lets nothing through that a terminal would obey', () => {
    const evil = '\u001b[2J\u0007\u009b\u202e\r';
    const text = print(
      [{ severity: 'error', code: 'x', message: evil, help: evil, origin: { file: `${evil}\nf`, line: 1, column: 9 } }],
      `${evil}${evil}`,
    );
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    expect(text.split('\n')).toHaveLength(5);
    expect(printable('a\tb\nc é 日')).toBe('a\tb\nc é 日');
  });
});

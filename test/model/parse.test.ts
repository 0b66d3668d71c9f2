import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatOrigin } from '../../src/core/origin.ts';
import { type SourceNode, toPlain } from '../../src/core/source.ts';
import { parse } from '../../src/model/parse.ts';
import { hostileText, inYaml } from '../hostile-text.ts';

function faults(text: string): string[] {
  return parse(text, 'vm.yaml').diagnostics.map(
    ({ origin, message }) => `${origin ? formatOrigin(origin) : '-'} ${message}`,
  );
}

/** `line:column value` of every scalar, and `line:column key:` of every key. */
function places(node: SourceNode): string[] {
  switch (node.kind) {
    case 'scalar':
      return [`${node.at.join(':')} ${String(node.value)}`];
    case 'list':
      return [`${node.at.join(':')} [`, ...node.items.flatMap(places)];
    case 'map':
      return [
        `${node.at.join(':')} {`,
        ...node.entries.flatMap(({ key, at, node }) => [`${at.join(':')} ${key}:`, ...places(node)]),
      ];
  }
}

describe('parsing', () => {
  it.each([
    [
      'block style',
      'cpu:\n  cores: 8\ndisks:\n  - a.raw\n  - file: b\n    bus: scsi\n',
      [
        '1:1 {',
        '1:1 cpu:',
        '2:3 {',
        '2:3 cores:',
        '2:10 8',
        '3:1 disks:',
        '4:3 [',
        '4:5 a.raw',
        '5:5 {',
        '5:5 file:',
        '5:11 b',
        '6:5 bus:',
        '6:10 scsi',
      ],
    ],
    [
      'flow style',
      'cpu: { cores: 8, flags: [+aes, "a b"] }\n',
      ['1:1 {', '1:1 cpu:', '1:6 {', '1:8 cores:', '1:15 8', '1:18 flags:', '1:25 [', '1:26 +aes', '1:32 a b'],
    ],
    ['CRLF', 'cpu: 8\r\nmemory: 2G\r\n', ['1:1 {', '1:1 cpu:', '1:6 8', '2:1 memory:', '2:9 2G']],
    [
      'quoted keys and comments',
      '# first\n"cpu": 8 # eight\n\n\'memory\': 2G\n',
      ['2:1 {', '2:1 cpu:', '2:8 8', '4:1 memory:', '4:11 2G'],
    ],
    [
      'block text',
      'description: |\n  a\n  b\nname: x\n',
      ['1:1 {', '1:1 description:', '1:14 a\nb\n', '4:1 name:', '4:7 x'],
    ],
    ['a value on the next line', 'name:\n  x\n', ['1:1 {', '1:1 name:', '2:3 x']],
    ['a key without a value', 'tpm:\ncpu: 1\n', ['1:1 {', '1:1 tpm:', '1:5 null', '2:1 cpu:', '2:6 1']],
    [
      'beyond ASCII',
      'description: "日本😀" \nname: x\n',
      ['1:1 {', '1:1 description:', '1:14 日本😀', '2:1 name:', '2:7 x'],
    ],
  ])('keeps the place of every key and value in %s', (_, text, wanted) => {
    const { doc, diagnostics } = parse(text, 'vm.yaml');
    expect(diagnostics).toEqual([]);
    expect(places(doc.root)).toEqual(wanted);
  });

  it.each([
    ['8', 8, '8'],
    ['1.10', 1.1, '1.10'],
    ['0x1f', 31, '0x1f'],
    ['0o17', 15, '0o17'],
    ['1e3', 1000, '1e3'],
    ['010', 10, '010'],
    ['true', true, undefined],
    ['null', null, undefined],
    ['~', null, undefined],
    ['on', 'on', undefined],
    ['yes', 'yes', undefined],
    ['12:30', '12:30', undefined],
    ['2222:22', '2222:22', undefined],
    ['2024-01-01', '2024-01-01', undefined],
    ['"1.10"', '1.10', undefined],
    ["'it''s'", "it's", undefined],
  ])('reads %s as YAML 1.2 does, and keeps how a number was spelled', (text, value, source) => {
    const { doc, diagnostics } = parse(`value: ${text}\n`, 'vm.yaml');
    expect(diagnostics).toEqual([]);
    expect(doc.root.entries[0]?.node).toEqual({
      kind: 'scalar',
      at: [1, 8],
      value,
      ...(source !== undefined && { source }),
    });
  });

  it('reads every text that is properly quoted as that very text', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        const { doc, diagnostics } = parse(`value: ${inYaml(text)}\nnext: 1\n`, 'vm.yaml');
        expect(diagnostics).toEqual([]);
        expect(toPlain(doc.root)).toEqual({ value: text.replaceAll('${', () => '$${'), next: 1 });
      }),
      { numRuns: 500 },
    );
  });

  it('never fails, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          hostileText(),
          fc.array(hostileText()).map((bits) => bits.join('\n')),
        ),
        (text) => {
          const { diagnostics } = parse(text, 'vm.yaml');
          const lines = text.split('\n');
          for (const { message, origin } of diagnostics) {
            expect(message).not.toMatch(/undefined|\[object/);
            expect(origin?.line).toBeLessThanOrEqual(lines.length);
            expect(origin?.column).toBeLessThanOrEqual((lines[(origin?.line ?? 1) - 1]?.length ?? 0) + 1);
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['an anchor', 'a: &x 1\n', 'vm.yaml:1:7 the anchor &x is not allowed'],
    ['an anchor at a map', 'a: &x\n  b: 1\n', 'vm.yaml:2:3 the anchor &x is not allowed'],
    ['an anchor at a key', '&x a: 1\n', 'vm.yaml:1:4 the key a carries an anchor or a tag'],
    ['an unknown alias', 'a: *x\n', 'vm.yaml:1:4 the alias *x is not allowed'],
    ['a tag', 'a: !x 1\n', 'vm.yaml:1:7 the tag !x is not allowed'],
    ['a known tag', 'a: !!int "5"\n', 'vm.yaml:1:10 the tag !!int is not allowed'],
    ['a merge key', '<<: 1\n', 'vm.yaml:1:1 merge keys (<<) are not allowed'],
    ['a key given twice', 'a: 1\nb: 1\na: 2\n', 'vm.yaml:3:1 the key a is given twice'],
    ['a key given twice in other quotes', 'a: 1\n"a": 2\n', 'vm.yaml:2:1 the key a is given twice'],
    ['a key given twice within', 'x: { a: 1, a: 2 }\n', 'vm.yaml:1:12 the key a is given twice'],
    ['a second document', 'a: 1\n---\nb: 1\n', 'vm.yaml:2:1 the file holds more than one YAML document'],
    ['a second, empty document', 'a: 1\n---\n', 'vm.yaml:2:1 the file holds more than one YAML document'],
    ['a directive', '%YAML 1.1\n---\na: yes\n', 'vm.yaml:1:1 the directive %YAML 1.1 is not allowed'],
    ['no key', ': 1\n', 'vm.yaml:1:1 a key must be a single word'],
    ['a list as a key', '? [a]\n: 1\n', 'vm.yaml:1:3 a key must be a single word'],
    ['a tab', 'a:\n\tb: 1\n', 'vm.yaml:2:1 a tab indents this line; YAML allows blanks only'],
    ['a reserved character', 'a: @b\n', 'vm.yaml:1:4 plain value cannot start with reserved character @'],
    ['an open quote', 'a: "b\n', 'vm.yaml:1:4 the quote that opens here is never closed'],
    ['an open bracket', 'a: [b\n', 'vm.yaml:1:4 the bracket that opens here is never closed'],
    [
      'two colons in a line',
      'a: b: c\n',
      'vm.yaml:1:4 a second `key:` stands in one line, or a value holds `: ` without quotes',
    ],
    ['no colon', 'a: 1\nb 2\n', 'vm.yaml:2:1 this is no `key: value` line'],
    ['a backslash in double quotes', 'a: "C:\\VM"\n', 'vm.yaml:1:7 invalid escape sequence \\V'],
  ])('refuses %s', (_, text, fault) => {
    expect(faults(text)[0]).toBe(fault);
    expect(parse(text, 'vm.yaml').diagnostics[0]?.help, 'how to mend it').toBeDefined();
  });

  it('tells of every fault, not only the first', () => {
    expect(faults('a: &x 1\nb: !y 2\n<<: 3\na: 4\n')).toHaveLength(4);
  });

  it('understands what it can of a file with faults', () => {
    expect(toPlain(parse('cpu: 4\ntpm: *x\nmemory: 2G\n', 'vm.yaml').doc.root)).toEqual({
      cpu: 4,
      tpm: null,
      memory: '2G',
    });
  });

  it('takes an empty file for an empty map', () => {
    for (const text of ['', '\n', '# only this\n', '---\n', '~\n', '{}\n'])
      expect(parse(text, 'f')).toMatchObject({ doc: { root: { entries: [] } }, diagnostics: [] });
  });
});

import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Built, LAPTOP_HOST, type Ran } from './built.ts';

/** A second is the promise; machines that run tests are busy, and some are slow. */
const PATIENCE_MS = 4000;
/** About the largest file that is read. */
const FULL = 65_000;
const LEVELS = 10_000;

let program: Built;
beforeAll(() => {
  program = new Built();
});
afterAll(() => program.remove());

function check(content: string | Uint8Array): Ran {
  program.write('vm.yaml', content);
  return program.run(['check', 'vm.yaml', '--host', LAPTOP_HOST]);
}

function filled(text: string): string {
  return text.repeat(Math.floor(FULL / text.length));
}

function indented(lines: number, text: string, end = '\n'): string {
  return Array.from({ length: lines }, (_, level) => `${' '.repeat(level)}${text}${end}`).join('');
}

/** The first fault must be told at this place in these words. */
type Row = readonly [label: string, content: string | Uint8Array, place: string, message: RegExp];

const DEEP = /nested more than 64 levels/;
const LARGE = /has \d+ (bytes|characters); \d+ is the most/;

const ROWS: readonly Row[] = [
  ['10,000 open brackets', `disks: ${'['.repeat(LEVELS)}`, '1:71', DEEP],
  ['10,000 brackets', `disks: ${'['.repeat(LEVELS)}${']'.repeat(LEVELS)}`, '1:71', DEEP],
  ['10,000 maps in braces', `cpu: ${'{a: '.repeat(LEVELS)}1${'}'.repeat(LEVELS)}`, '1:258', DEEP],
  ['10,000 quoted maps', `cpu: ${'{"a":'.repeat(LEVELS)}`, '1:321', DEEP],
  ['10,000 pairs in brackets', `cpu: ${'[a: '.repeat(LEVELS)}`, '', DEEP],
  ['10,000 dashes', '- '.repeat(LEVELS), '1:129', DEEP],
  ['10,000 dashes with tabs', '-\t'.repeat(LEVELS), '1:129', DEEP],
  ['10,000 question marks', '? '.repeat(LEVELS), '1:129', DEEP],
  ['10,000 question marks with tabs', '?\t'.repeat(LEVELS), '1:129', DEEP],
  ['10,000 colons', `cpu:\n  ${': '.repeat(LEVELS)}`, '2:129', DEEP],
  ['10,000 colons with tabs', ':\t'.repeat(LEVELS), '1:129', DEEP],
  ['10,000 dashes and question marks', '- ? '.repeat(LEVELS), '1:129', DEEP],
  ['10,000 keys in a line', 'a: '.repeat(LEVELS), '1:193', DEEP],
  ['deep indentation', indented(300, 'a:'), '65:65', DEEP],
  ['deep indentation of lists', indented(300, '-'), '65:65', DEEP],
  ['deep indentation with CRLF', indented(300, 'a:', '\r\n'), '65:65', DEEP],
  [
    'an alias bomb',
    `a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]\n`).join('')}`,
    '1:1',
    /there is no section "a"/,
  ],
  ['10 MB', 'a: 1\n'.repeat(2 * 1024 * 1024), '1:1', LARGE],
  ['100,000 keys given twice', 'cpu: 1\n'.repeat(100_000), '1:1', LARGE],
  ['9,000 keys given twice', filled('cpu: 1\n'), '2:1', /the key cpu is given twice/],
  [
    'thousands of unknown keys',
    Array.from({ length: 6000 }, (_, i) => `memor${i.toString(36)}:\n`).join(''),
    '1:1',
    /there is no section "memor0"/,
  ],
  ['thousands of disks', `disks: [${filled('a,')}]`, '1:8', /disks has 32500 items; 256 is the most/],
  [
    'thousands of ids',
    `disks: {${Array.from({ length: 5000 }, (_, i) => `d${i}: a`).join(', ')}}`,
    '1:8',
    /disks has 5000 items/,
  ],
  ['thousands of scsi disks', `disks: [${'{file: a, bus: scsi}, '.repeat(2900)}]`, '1:8', /disks has 2900 items/],
  ['thousands of profiles', `profiles: [${filled('gamin,')}]`, '1:12', /there is no profile "gamin"/],
  [
    'thousands of patches',
    `qemu: {set: {${Array.from({ length: 2500 }, (_, i) => `"device:n${i}": {a: 1}`).join(', ')}}}`,
    '1:27',
    /no option "device:n0" is emitted/,
  ],
  ['thousands of stray words', `qemu: {args: [${filled('"x",')}]}`, '1:15', /"x" follows no option/],
  ['thousands of bad references', `description: "${filled('${vars.b}')}"`, '1:14', /\$\{vars\.b\} names nothing/],
  ['thousands of open references', `description: "${filled('${')}"`, '1:14', /is not closed by \}/],
  ['thousands of commas', `disks: [${','.repeat(FULL)}]`, '1:10', /unexpected ,/],
  ['thousands of closing brackets', `disks: ${']'.repeat(FULL)}`, '1:8', /\]/],
  ['thousands of empty keys', filled(':\n'), '1:1', /a key must be a single word/],
  ['thousands of documents', filled('---\n'), '2:1', /more than one YAML document/],
  ['thousands of anchors', `disks: ${filled('&a ')}`, '', /anchor/],
  ['thousands of tags', `disks: ${filled('!a ')}`, '', /tag/],
  ['thousands of aliases', filled('*a\n'), '', /alias/],
  ['thousands of directives', filled('%A\n'), '1:1', /the directive %A is not allowed/],
  ['one very long tag', '!'.repeat(FULL), '1:1', /^.{0,300}$/],
  ['one very long key', `${'x'.repeat(FULL)}: 1`, '1:1', /this key is longer than 1024 characters/],
  ['one very long value', `memory: ${'x'.repeat(FULL)}`, '1:9', /^memory\.size is "x{10,60}…; a size such as/],
  ['one very long unknown key', `${'x'.repeat(1000)}: 1`, '1:1', /^there is no section "x{10,60}…$/],
  ['one very long template', `template: ${'x'.repeat(FULL)}`, '1:11', /^.{0,300}$/],
  ['an endless quote', `description: "${filled('x\n')}`, '', /quote/],

  ['a tab as indent', 'cpu:\n\tcores: 2\n', '2:1', /a tab indents this line/],
  ['a NUL', 'name: a\0b\n', '1:8', /control character U\+0000/],
  ['an escaped NUL', 'description: "a\\0b"\n', '1:14', /NUL character/],
  ['an escaped half of a pair', 'description: "a\\ud800"\n', '1:14', /half of a surrogate pair/],
  ['a NUL in a key', 'qemu: { set: { "a\\0b": { x: 1 } } }\n', '1:16', /the key holds a character/],
  ['a control character', 'description: a\u001b[31m\n', '1:15', /control character U\+001b/],
  ['bytes that are not UTF-8', Buffer.from('name: ok\ndescription: caf\xe9\n', 'latin1'), '2:17', /not UTF-8/],
  ['UTF-16', Buffer.from('\ufefftemplate: linux\n', 'utf16le'), '1:1', /not UTF-8/],
  ['a disk image', Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.alloc(4096)]), '1:4', /not UTF-8/],
  ['a fault after a byte order mark', '\ufeffcpu: x\n', '1:6', /cpu\.cores is "x"/],
  ['faults in lines that end with CRLF', 'cpu: 2\r\nmemory: x\r\n', '2:9', /memory\.size is "x"; a size/],
  ['a key given twice', 'cpu: 1\nmemory: 2G\ncpu: 2\n', '3:1', /the key cpu is given twice/],
  ['a list for a file', '- cpu\n', '1:1', /holds a list, not settings/],
  ['a word for a file', 'windows\n', '1:1', /holds a single value, not settings/],
  ['an anchor', 'disks: &d [a]\n', '1:11', /the anchor &d is not allowed/],
  ['an alias', 'cpu: *d\n', '1:6', /alias/],
  ['a merge key', 'cpu: { <<: { cores: 2 } }\n', '1:8', /merge keys/],
  ['a tag', 'name: !!str 5\n', '1:13', /the tag !!str is not allowed/],
  ['a tag that runs code elsewhere', 'name: !!js/function "x"\n', '', /the tag !!js\/function is not allowed/],
  ['two documents', 'cpu: 2\n---\ncpu: 3\n', '2:1', /more than one YAML document/],
  ['a directive', '%YAML 1.1\n---\ncpu: 2\n', '1:1', /the directive %YAML 1.1 is not allowed/],
  ['the key __proto__', '__proto__: { cpu: 9 }\n', '1:1', /the key __proto__ is not allowed/],
  ['the key constructor', 'constructor: 1\n', '1:1', /there is no section "constructor"/],
  [
    'constructor within a device',
    'disks: [{ file: a, constructor: 1 }]\n',
    '1:20',
    /disks\[0\] \(disk\) has no key "constructor"/,
  ],
  ['toString as a type', 'display: toString\n', '1:10', /display\.type is "toString"; use/],
  ['constructor as a template', 'template: constructor\n', '1:11', /there is no template "constructor"/],
  ['a map as a key', '{a: 1}: 2\n', '1:1', /a key must be a single word/],
  ['a template that leads elsewhere', 'template: ../../etc/passwd\n', '1:11', /there is no template/],
  ['a type that leads elsewhere', 'display: ../gpu/std\n', '1:10', /display\.type is "..\/gpu\/std"; use/],
  [
    'a huge number',
    `cpu: ${'9'.repeat(400)}\n`,
    '1:6',
    /^cpu\.cores is "?9{10,60}…; a whole number from 1 to 1024 is wanted$/,
  ],
  ['a number with a fraction', 'cpu: 1.5\n', '1:6', /cpu\.cores is 1.5; a whole number from 1 to 1024 is wanted/],
  ['infinity', 'cpu: .inf\n', '1:6', /cpu\.cores is \.inf; a whole number/],
  [
    'a memory size without its unit',
    'memory: 16\n',
    '1:9',
    /memory\.size is 16 bytes; a size such as 512M or 16G, at least 1M, is wanted/,
  ],
  [
    'a version that YAML reads as a number',
    'machine: { version: 9.20 }\n',
    '1:21',
    /machine\.version is 9\.20, which YAML reads as a number; text is wanted/,
  ],
  ['a list where a word belongs', 'cpu: [1, 2]\n', '1:6', /cpu\.cores is a list; a whole number/],
  ['a map where a word belongs', 'memory: { size: { a: 1 } }\n', '1:17', /memory\.size is a map/],
  ['an unbalanced bracket', 'disks: [a, b\ncpu: 2\n', '', /./],
  ['a key without a colon', 'cpu: 2\nmemory 4G\n', '2:1', /./],
  ['a key without a blank after it', 'cpu:2\nmemory: 4G\n', '1:1', /./],
  ['a Windows path in double quotes', 'disks: ["C:\\VM\\disk.raw"]\n', '1:12', /invalid escape sequence \\V/],
  ['a bad indent', 'cpu:\n  cores: 2\n threads: 1\n', '3:1', /./],
];

describe('a file that cannot be taken is refused clearly and at once', () => {
  it.each(ROWS)('%s', (_, content, place, message) => {
    const { exit, err, out, took } = check(content);
    expect(exit, err.slice(0, 2000)).toBe(1);
    expect(out).toBe('');
    expect(took).toBeLessThan(PATIENCE_MS);
    expect(err.length).toBeLessThan(40_000);
    const [, line, column, text = ''] = /^vm\.yaml:(\d+):(\d+) {2}(.*)$/m.exec(err) ?? [err.slice(0, 300)];
    if (place !== '') expect(`${line}:${column}`, err.slice(0, 600)).toBe(place);
    expect(text).toMatch(message);
    expect(err).not.toMatch(/\bundefined\b|\[object|NaN|RangeError|call stack/);
    expect(err.replace(/[\n\t]/g, '')).not.toMatch(/\p{Cc}/u);
  });

  it.each([
    ['an empty file', ''],
    ['blanks and comments', '# nothing\n\n   \n'],
    ['a byte order mark and CRLF', '\ufefftemplate: linux\r\ncpu: 2\r\n'],
    ['a marked beginning and end', '---\ntemplate: linux\n...\n'],
    ['brackets within text', `description: "${'['.repeat(1000)}"\n`],
    ['a very long text', `description: "${'é'.repeat(60_000)}"\n`],
    ['a comment full of brackets', `# ${'{'.repeat(1000)}\ncpu: 2\n`],
  ])('and %s is taken', (_, content) => {
    program.write('vm.yaml', content);
    const { exit, err } = program.run(['show', 'vm.yaml']);
    expect(exit, err).toBe(0);
  });

  it('tells all faults of a file at once, in their order, each with a frame and help', () => {
    const { err } = check(
      'template: windws\nprofiles: [gamng]\ncpu: { cors: 4 }\nmemory: 4 cats\ndisks:\n  - { file: a, bus: scsy }\n  - { bus: usb }\nfoo: 1\n',
    );
    const places = [...err.matchAll(/^vm\.yaml:(\d+:\d+) {2}/gm)].map((match) => match[1]);
    expect(places).toEqual(['1:11', '2:12', '3:8', '4:9', '6:21', '7:5', '8:1']);
    expect(err.match(/^ +help: /gm)?.length).toBeGreaterThanOrEqual(6);
    expect(err).toContain('did you mean windows?');
    expect(err).toContain('did you mean gaming?');
    expect(err).toContain('did you mean cores?');
    expect(err).toContain('did you mean scsi?');
    expect(err).toContain('    6 |   - { file: a, bus: scsy }\n      |                     ^\n');
  });

  it('says nothing more of a line that it could not read', () => {
    const { err } = check(
      'template: linux\nnetwork:\n  - type: bridge\n    mac: BC:24:11:3A:21:B7\n   bridge: vmbr0\nfoo: 1\n',
    );
    expect([...err.matchAll(/^vm\.yaml:(\d+):\d+ {2}(.*)/gm)].map((match) => `${match[1]} ${match[2]}`)).toEqual([
      '5 this line is indented neither like the items of the list nor like their keys',
      '6 there is no section "foo"',
    ]);
  });

  it('points at the place in a line with tabs', () => {
    const { err } = check('cpu:\t\tx\n');
    expect(err).toContain('vm.yaml:1:7  cpu.cores is "x"');
    expect(err).toContain('    1 | cpu:  x\n      |       ^\n');
  });
});

describe('a file that is none', () => {
  it.each<[string, string, RegExp]>([
    ['missing', './nothing.yaml', /^error: there is no file \.\/nothing\.yaml$/m],
    ['a slip in the name', 'wm.yaml', /^ {2}help: did you mean vm\.yaml\?$/m],
    ['a directory', './', /is a directory; a VM file is wanted/],
    ['a device', '/dev/zero', /is no ordinary file/],
    ['links in a circle', 'loop.yaml', /its links lead in a circle/],
    ['a name too long for a file', `${'x'.repeat(5000)}.yaml`, /the name is too long/],
    ['a file below a file', 'vm.yaml/x.yaml', /there is no file/],
    ['a name with a blank', 'my vm', /"my vm" is no VM name/],
    ['nothing at all', '', /"" is no VM name/],
  ])('%s', (_, ref, message) => {
    program.write('vm.yaml', 'template: linux\n');
    if (ref === 'loop.yaml') symlinkSync('loop.yaml', join(program.dir, 'loop.yaml'));
    const { exit, err } = program.run(['check', ref]);
    expect([1, 2]).toContain(exit);
    expect(err).toMatch(message);
  });
});

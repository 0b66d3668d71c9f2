import { describe, expect, it } from 'vitest';
import { listOf } from '../../src/catalog/expected.ts';
import { checkParam, showValue, suggestion } from '../../src/catalog/params.ts';
import type { ParamSpec } from '../../src/catalog/template.ts';
import { entryOf, type SourceNode } from '../../src/core/source.ts';
import { parse } from '../../src/model/parse.ts';

/** A value as YAML reads it. */
function yaml(text: string): SourceNode {
  const { doc, diagnostics } = parse(`value: ${text}`, 'vm.yaml');
  expect(diagnostics).toEqual([]);
  return entryOf(doc.root, 'value')?.node ?? { kind: 'scalar', at: [1, 1], value: null };
}

function check(spec: ParamSpec, text: string): unknown {
  const checked = checkParam(spec, yaml(text), { resolvePath: (path) => `/base/${path}` });
  if ('value' in checked) return checked.value;
  const [fault] = checked.faults;
  return `! ${fault?.message}${fault?.help === undefined ? '' : ` (${fault.help})`}`;
}

const BUS: ParamSpec = { type: 'enum', of: ['virtio', 'scsi', 'sata', 'off'] };
const SIZE: ParamSpec = { type: 'size', min: 2 ** 20 };
const CORES: ParamSpec = { type: 'int', min: 1, max: 64 };

const LABEL: ParamSpec = { type: 'string', max: 4 };
const KEY: ParamSpec = { type: 'string', min: 4, max: 4 };
const NET: ParamSpec = {
  type: 'word',
  pattern: '\\d+/\\d+',
  example: '10/8',
  slips: { any: 'write `10/8`', '(\\d+)': 'write `$1/8`' },
};
const MEMORY: ParamSpec = { type: 'size', min: 2 ** 20, max: 2 ** 30, 'power-of-two': true };

describe('a parameter', () => {
  it.each<[ParamSpec, string, unknown]>([
    [LABEL, 'abcd', 'abcd'],
    [LABEL, 'abcde', '! "abcde"; text of at most 4 characters is wanted'],
    [LABEL, 'äöü', '! "äöü"; text of at most 4 characters is wanted'],
    [KEY, 'abc', '! "abc"; text of 4 characters is wanted'],
    [{ type: 'string', min: 1 }, '""', '! ""; text of at least 1 character is wanted'],
    [{ type: 'word', min: 2, max: 3 }, 'a', '! "a"; a word of 2 to 3 characters is wanted'],
    [NET, '10/8', '! "10/8"; a word of letters, digits and . _ + : - is wanted'],
    [{ ...NET, type: 'string' }, '10/8', '10/8'],
    [{ ...NET, type: 'string' }, '10/8/9', '! "10/8/9"; text such as 10/8 is wanted'],
    [{ ...NET, type: 'string' }, 'any', '! "any"; text such as 10/8 is wanted (write `10/8`)'],
    [{ ...NET, type: 'string' }, '"12"', '! "12"; text such as 10/8 is wanted (write `12/8`)'],
    [{ type: 'path', pattern: '/base/tpm\\d', example: 'tpm0' }, 'tpm1', '/base/tpm1'],
    [{ type: 'path', pattern: '/base/tpm\\d', example: 'tpm0' }, 'null', null],
    [{ type: 'path', pattern: '/base/tpm\\d', example: 'tpm0' }, 'x', '! "x"; a path such as tpm0 is wanted'],
    [MEMORY, '64M', 2 ** 26],
    [MEMORY, '3M', '! "3M"; a power of two such as 64M or 1G, from 1M to 1G, is wanted'],
    [MEMORY, '2G', '! "2G"; a power of two such as 64M or 1G, from 1M to 1G, is wanted'],
  ])('%j is of the length, form and size that are wanted in %s', (spec, text, expected) => {
    expect(check(spec, text)).toEqual(expected);
  });

  it.each<[ParamSpec, string, unknown]>([
    [{ type: 'string' }, 'plain text', 'plain text'],
    [{ type: 'string' }, '""', ''],
    [{ type: 'string' }, '"1.10"', '1.10'],
    [{ type: 'string' }, 'yes', 'yes'],
    [{ type: 'string' }, '1.10', '! 1.10, which YAML reads as a number; text is wanted (write it in quotes: "1.10")'],
    [{ type: 'string' }, '0x1f', '! 0x1f, which YAML reads as a number; text is wanted (write it in quotes: "0x1f")'],
    [{ type: 'string' }, 'true', '! true, which YAML reads as a boolean; text is wanted (write it in quotes: "true")'],
    [{ type: 'string' }, '[a]', '! a list; text is wanted'],
    [{ type: 'string' }, '{a: b}', '! a map; text is wanted'],
    [{ type: 'string' }, '', null],
    [{ type: 'string' }, '~', null],

    [{ type: 'word' }, 'vmbr0', 'vmbr0'],
    [{ type: 'word' }, 'Haswell-noTSX', 'Haswell-noTSX'],
    [{ type: 'word' }, '10', '10'],
    [{ type: 'word' }, '007', '007'],
    [{ type: 'word' }, '1.10', '! 1.10, which YAML reads as a number (write it in quotes: "1.10")'],
    [{ type: 'word' }, 'a,b', '! "a,b"; a word of letters, digits and . _ + : - is wanted'],
    [{ type: 'word' }, '"a b"', '! "a b"; a word of letters, digits and . _ + : - is wanted'],
    [{ type: 'word' }, '"a\\n"', '! "a\\n"; a word of letters, digits and . _ + : - is wanted'],
    [{ type: 'word' }, '""', '! ""; a word of letters, digits and . _ + : - is wanted'],

    [CORES, '8', 8],
    [CORES, '"8"', 8],
    [CORES, '8.0', 8],
    [CORES, '0x10', 16],
    [CORES, '0', '! 0; a whole number from 1 to 64 is wanted'],
    [CORES, '65', '! 65; a whole number from 1 to 64 is wanted'],
    [CORES, '-1', '! -1; a whole number from 1 to 64 is wanted'],
    [CORES, '1.5', '! 1.5; a whole number from 1 to 64 is wanted'],
    [CORES, 'eight', '! "eight"; a whole number from 1 to 64 is wanted'],
    [CORES, '"8 "', '! "8 "; a whole number from 1 to 64 is wanted'],
    [CORES, 'true', '! true; a whole number from 1 to 64 is wanted'],
    [CORES, '.nan', '! .nan; a whole number from 1 to 64 is wanted'],
    [{ type: 'int', min: 0 }, '-1', '! -1; a whole number, at least 0, is wanted'],
    [{ type: 'int' }, '9007199254740993', '! 9007199254740993; a whole number is wanted'],

    ...['true', 'on', 'yes', 'On', 'YES', '"true"'].map((text): [ParamSpec, string, unknown] => [
      { type: 'bool' },
      text,
      true,
    ]),
    ...['false', 'off', 'no', 'Off', '"no"'].map((text): [ParamSpec, string, unknown] => [
      { type: 'bool' },
      text,
      false,
    ]),
    [{ type: 'bool' }, '1', '! 1; on or off is wanted'],
    [{ type: 'bool' }, 'maybe', '! "maybe"; on or off is wanted'],

    [SIZE, '16G', 16 * 2 ** 30],
    [SIZE, '1.5G', 1.5 * 2 ** 30],
    [SIZE, '2097152', 2 ** 21],
    [SIZE, '16', '! 16 bytes; a size such as 512M or 16G, at least 1M, is wanted (a bare number is bytes: write 16M)'],
    [SIZE, 'lots', '! "lots"; a size such as 512M or 16G, at least 1M, is wanted'],
    [SIZE, '-4G', '! "-4G"; a size such as 512M or 16G, at least 1M, is wanted'],
    [SIZE, '1e9', '! 1e9; a size such as 512M or 16G, at least 1M, is wanted'],
    [SIZE, 'true', '! true; a size such as 512M or 16G, at least 1M, is wanted'],

    [{ type: 'path' }, 'disk.raw', '/base/disk.raw'],
    [{ type: 'path' }, '"a, b=c"', '/base/a, b=c'],
    [{ type: 'path' }, '""', '! ""; a path is wanted'],
    [{ type: 'path' }, '5', '! 5; a path is wanted'],

    [BUS, 'scsi', 'scsi'],
    [BUS, 'off', 'off'],
    [BUS, 'false', 'off'],
    [BUS, 'scsy', '! "scsy"; use virtio, scsi, sata or off (did you mean scsi?)'],
    [BUS, '5', '! 5; use virtio, scsi, sata or off'],
    [BUS, 'constructor', '! "constructor"; use virtio, scsi, sata or off'],

    [{ type: 'mac' }, 'BC:24:11:3A:21:B7', 'bc:24:11:3a:21:b7'],
    [{ type: 'mac' }, 'bc-24-11-3a-21-b7', 'bc:24:11:3a:21:b7'],
    [{ type: 'mac' }, 'bc24.113a.21b7', '! "bc24.113a.21b7"; a MAC address such as 52:54:00:12:34:56 is wanted'],
    [{ type: 'mac' }, 'BC:24:11:3A:21', '! "BC:24:11:3A:21"; a MAC address such as 52:54:00:12:34:56 is wanted'],
    [
      { type: 'mac' },
      '53:54:00:00:00:01',
      '! 53:54:00:00:00:01, a multicast address, which no card can have (make the first byte even, as in 52:54:00:…)',
    ],

    [{ type: 'pci' }, '"0000:03:00.0"', '0000:03:00.0'],
    [{ type: 'pci' }, '"03:00.1"', '0000:03:00.1'],
    [{ type: 'pci' }, '03:00.1', '0000:03:00.1'],
    [{ type: 'pci' }, '10000:e1:00.0', '10000:e1:00.0'],
    [{ type: 'pci' }, '03:00', '0000:03:00'],
    [{ type: 'pci' }, '0000:03:00', '0000:03:00'],
    [{ type: 'pci' }, '10DE:2684', '10de:2684'],
    [{ type: 'pci' }, '8086:1521', '8086:1521'],
    ...['03:20.0', '03:00.8', '10de:26841', '0000:03:00.0.1', '10de'].map((text): [ParamSpec, string, unknown] => [
      { type: 'pci' },
      text,
      `! "${text}"; a PCI address such as "0000:03:00.0", or vendor and device as in "10de:2684" is wanted`,
    ]),

    [{ type: 'port' }, '5900', 5900],
    [{ type: 'port' }, '0', '! 0; a port number from 1 to 65535 is wanted'],
    [{ type: 'port' }, '65536', '! 65536; a port number from 1 to 65535 is wanted'],

    [{ type: 'uuid' }, '04D064C3-66a1-4aa7-9589-f8b3ecf91cd7', '04d064c3-66a1-4aa7-9589-f8b3ecf91cd7'],
    [
      { type: 'uuid' },
      '04d064c3',
      '! "04d064c3"; a UUID such as 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7 is wanted (uuidgen makes one)',
    ],
    [
      { type: 'uuid' },
      '"{04D064C3-66A1-4AA7-9589-F8B3ECF91CD7}"',
      '! "{04D064C3-66A1-4AA7-9589-F8B3ECF91CD7}"; a UUID such as 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7 is wanted (write 04D064C3-66A1-4AA7-9589-F8B3ECF91CD7)',
    ],

    [{ type: 'forward' }, '"2222:22"', { str: 'tcp:127.0.0.1:2222-:22' }],
    [{ type: 'forward' }, '2222:22', { str: 'tcp:127.0.0.1:2222-:22' }],
    [{ type: 'forward' }, '"udp/5353:53"', { str: 'udp:127.0.0.1:5353-:53' }],
    [{ type: 'forward' }, '"0.0.0.0:80:8080"', { str: 'tcp:0.0.0.0:80-:8080' }],
    ...['"1:2:3"', '"999.0.0.1:80:80"', '"70000:80"', '"80"', '"icmp/1:2"', '"1:2,x=y"', '"0:80"'].map(
      (text): [ParamSpec, string, unknown] => [
        { type: 'forward' },
        text,
        `! ${text}; "HOST-PORT:GUEST-PORT" is wanted (write it in quotes, as in "2222:22", "udp/5353:53" or "127.0.0.1:8080:80")`,
      ],
    ),

    [{ type: 'list', of: 'word' }, '[a, b]', ['a', 'b']],
    [{ type: 'list', of: 'word' }, 'a', ['a']],
    [{ type: 'list', of: 'word' }, '[]', []],
    [{ type: 'list', of: 'int' }, '[1, x]', '! "x"; a whole number is wanted'],
    [{ type: 'list', of: 'word' }, '[[a]]', '! a list; a word is wanted'],
  ])('of %j takes %s as %j', (spec, text, wanted) => {
    expect(check(spec, text)).toEqual(wanted);
  });

  it('tells every wrong item of a list, each with its place', () => {
    const node = yaml('[1, x, 2, y]');
    const checked = checkParam({ type: 'list', of: 'int' }, node, { resolvePath: (path) => path });
    expect('faults' in checked && checked.faults.map(({ at }) => at)).toEqual([
      [1, 12],
      [1, 18],
    ]);
  });

  it('is taken as it was written where nobody can quote', () => {
    const node: SourceNode = { kind: 'scalar', at: [1, 1], value: 1.1, source: '1.10', loose: true };
    expect(checkParam({ type: 'string' }, node, { resolvePath: (path) => path })).toEqual({ value: '1.10' });
  });
});

describe('words for messages', () => {
  it('are quoted, on one line, and not longer than a line', () => {
    expect(showValue('a\nb"c')).toBe('"a\\nb\\"c"');
    expect(showValue(5)).toBe('5');
    expect(showValue('x'.repeat(100))).toHaveLength(58);
  });

  it('are listed as people do', () => {
    expect([listOf([]), listOf(['a']), listOf(['a', 'b']), listOf(['a', 'b', 'c'])]).toEqual([
      '',
      'a',
      'a or b',
      'a, b or c',
    ]);
  });

  it('suggest what is near', () => {
    expect(suggestion('scsy', ['scsi'])).toBe('did you mean scsi?');
    expect(suggestion('zzz', ['scsi'])).toBeUndefined();
  });
});

import { formatSize } from '../core/size.ts';
import type { ParamSpec, ParamType } from './template.ts';

/** What may have to be of a length or a form. */
const TEXTS: readonly ParamType[] = ['string', 'word', 'path'];

const EXPECTED: { readonly [type in ParamType]: string } = {
  string: 'text',
  word: 'a word',
  int: 'a whole number',
  bool: 'on or off',
  size: 'a size such as 512M or 16G',
  path: 'a path',
  enum: 'one of a few words',
  mac: 'a MAC address such as 52:54:00:12:34:56',
  pci: 'a PCI device',
  port: 'a port number',
  uuid: 'a UUID',
  wwn: 'a World Wide Name of 16 hexadecimal digits',
  forward: 'a port forward such as "2222:22"',
  list: 'a list',
};

/** What a parameter takes, in words: continues “… is wanted”. */
export function expected(spec: ParamSpec): string {
  const { min, max } = spec;
  if (spec.type === 'enum') return listOf((spec.of ?? []) as readonly string[]);
  if (spec.type === 'size') return expectedSize(spec);
  if (TEXTS.includes(spec.type))
    return [
      EXPECTED[spec.type],
      ...(spec.pattern === undefined ? [] : [`such as ${spec.example}`]),
      ...lengthOf(spec),
    ].join(' ');
  if (min !== undefined && max !== undefined) return `${EXPECTED[spec.type]} from ${min} to ${max}`;
  return min === undefined ? EXPECTED[spec.type] : `${EXPECTED[spec.type]}, at least ${min},`;
}

function expectedSize({ min, max, 'power-of-two': power }: ParamSpec): string {
  const kind = power ? 'a power of two such as 64M or 1G' : EXPECTED.size;
  if (min === undefined && max === undefined) return kind;
  if (max === undefined) return `${kind}, at least ${formatSize(min ?? 0)},`;
  return `${kind}, from ${formatSize(min ?? 0)} to ${formatSize(max)},`;
}

/** How long a text may be, in words, where that is bounded. */
export function lengthOf({ min = 0, max }: ParamSpec): string[] {
  if (max === undefined) return min === 0 ? [] : [`of at least ${min} character${min === 1 ? '' : 's'}`];
  return [
    min === max
      ? `of ${max} characters`
      : min === 0
        ? `of at most ${max} characters`
        : `of ${min} to ${max} characters`,
  ];
}

/** `a, b or c` */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

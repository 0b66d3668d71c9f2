import type { ScalarNode, SourceNode } from '../../core/source.ts';
import { plainText, type Reader, scalar, type Translation } from './translation.ts';

/** Properties that are text even where they look like a number. */
const TEXT = /^(serial|ver|model|device_id|vendor|product|mac|ifname|br|host)$/;

/** One `key=value` of an `extra_…_options` list. */
export interface ExtraOption {
  readonly key: string;
  readonly node: ScalarNode;
}

/** The properties in a list of `key=value` texts, each of which may hold several behind commas. */
export function extraOptions(reader: Reader, key: string, out: Translation): ExtraOption[] {
  return reader.list(key).flatMap((item) => {
    if (item.kind !== 'scalar' || item.value === null) {
      out.refuse(
        'value-wrong',
        item.at,
        `${reader.path}.${key} has a ${item.kind} in it; texts such as "key=value" are wanted`,
      );
      return [];
    }
    return plainText(item)
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part): ExtraOption => {
        const [name = '', value] = part.trim().split(/=(.*)/s);
        return { key: name, node: scalar(item.at, typed(name, value ?? 'on')) };
      });
  });
}

/** QEMU's JSON syntax wants numbers as numbers. */
function typed(name: string, value: string): string | number {
  return !TEXT.test(name) && /^(0|[1-9]\d{0,14}|0x[0-9a-f]{1,12})$/i.test(value) ? Number(value) : value;
}

/** Words for the end of the command line: `-option value` in one text, as ezkvm writes it, or one word each. */
export function extraWords(item: SourceNode, out: Translation): void {
  if (item.kind !== 'scalar' || item.value === null) {
    out.refuse('value-wrong', item.at, 'extras has something in it that is no text');
    return;
  }
  const text = plainText(item).trim();
  const [, option, rest] = /^(-\S+)\s+(.*)$/s.exec(text) ?? [];
  // Several options in one text: only blanks can tell them apart.
  const words =
    option === undefined || rest === undefined
      ? [text]
      : /\s-{1,2}[a-z]/.test(rest)
        ? text.split(/\s+/)
        : [option, rest];
  for (const word of words) out.append(scalar(item.at, word));
}

import type { ScalarNode, SourceNode } from '../../core/source.ts';
import { plainText, type Reader, scalar, type Translation } from './translation.ts';

/** One `key=value` of an `extra_…_options` list; QEMU itself reads what the value is. */
export interface ExtraOption {
  readonly key: string;
  readonly node: ScalarNode & { readonly value: string };
}

/** The properties in a list of `key=value` texts, each of which may hold several behind commas; two commas are one in a value. */
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
    return (plainText(item).match(/(?:[^,]|,,)+/g) ?? [])
      .filter((part) => part.trim() !== '')
      .map((part): ExtraOption => {
        const [name = '', value = 'on'] = part.replaceAll(',,', ',').trim().split(/=(.*)/s);
        return { key: name, node: { kind: 'scalar', at: item.at, value } };
      });
  });
}

/** Says that an option has no effect here, and why. */
export function passOver(reader: Reader, { key, node }: ExtraOption, out: Translation, why: string): void {
  out.warn('option-ignored', node.at, `${reader.path}: ezvm passes over ${key}=${node.value}: ${why}`, 'leave it out');
}

/** Options of a device by which ezkvm's files move or rename it. */
export const PLACE = ['id', 'bus', 'addr', 'unit'];
export const PLACE_IS_FIXED = 'each kind of device has its own name and place, which never change';

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

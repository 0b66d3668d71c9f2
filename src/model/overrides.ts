import type { Origin } from '../core/origin.ts';
import { originOf, type SourceNode } from '../core/source.ts';
import type { QemuValue } from '../qemu/option.ts';
import type { Findings } from './findings.ts';
import type { PropsPatch, QemuOverrides } from './spec.ts';
import { isUnset, keyPlaceOf, Leaf, placeOf, type Tree } from './tree.ts';

/** Reads `qemu: { set: …, args: … }`. */
export function readOverrides(merged: Tree, findings: Findings): QemuOverrides {
  const { report, check } = findings;
  const tree = merged['qemu'];
  if (tree === undefined || isUnset(tree)) return { set: [], args: [] };
  if (tree instanceof Leaf) {
    report({ code: 'value-wrong', message: 'qemu is no map; `set:` and `args:` are wanted', origin: tree.origin });
    return { set: [], args: [] };
  }
  for (const [key, value] of Object.entries(tree))
    if (key !== 'set' && key !== 'args')
      report({
        code: 'key-unknown',
        message: `qemu has no key ${JSON.stringify(key)}`,
        origin: keyPlaceOf(value),
        help: 'it has `set` and `args`',
      });
  return { set: readSet(tree['set'], findings), args: readArgs(tree['args'], report, check) };
}

function readSet(tree: Leaf | Tree | undefined, findings: Findings): QemuOverrides['set'] {
  const { report } = findings;
  if (tree === undefined || isUnset(tree)) return [];
  if (tree instanceof Leaf) {
    report({
      code: 'value-wrong',
      message: 'qemu.set is no map',
      origin: tree.origin,
      help: 'as in `set: { "device:net0": { mq: on } }`',
    });
    return [];
  }
  return Object.entries(tree).flatMap(([target, props]) => {
    if (isUnset(props)) return [];
    const origin = placeOf(props);
    const label = `qemu.set.${target}`;
    if (!(props instanceof Leaf)) return [{ target, origin, props: readProps(props, label, findings) }];
    report({ code: 'value-wrong', message: `${label} is no map of properties`, origin, help: 'as in `{ mq: on }`' });
    return [];
  });
}

/** What QEMU's own properties are made of; in key=value syntax anything else would begin another property. */
const KEY = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

function readProps(tree: Tree, label: string, findings: Findings): PropsPatch {
  const props = Object.entries(tree).flatMap(([key, value]): [string, PropsPatch[string]][] => {
    const inner = `${label}.${key}`;
    if (!KEY.test(key)) {
      findings.report({
        code: 'key-refused',
        message: `${label}: ${JSON.stringify(key)} cannot be the name of a property`,
        origin: keyPlaceOf(value),
        help: 'names have letters, digits and . _ + - only',
      });
      return [];
    }
    if (!(value instanceof Leaf)) return [[key, readProps(value, inner, findings)]];
    const node = findings.fill(value, inner);
    return node ? [[key, readValue(node, inner, value, findings.report)]] : [];
  });
  return Object.fromEntries(props);
}

function readValue(node: SourceNode, label: string, leaf: Leaf, report: Findings['report']): QemuValue | null {
  if (node.kind === 'list') return node.items.map((item) => readValue(item, label, leaf, report) ?? '');
  if (node.kind === 'map')
    return Object.fromEntries(
      node.entries.map((entry) => [entry.key, readValue(entry.node, `${label}.${entry.key}`, leaf, report) ?? '']),
    );
  const { value, source } = node;
  // YAML 1.2 reads `on` as text; QEMU's JSON syntax wants a boolean.
  if (value === 'on') return true;
  if (value === 'off') return false;
  if (typeof value === 'number' && source !== undefined && source !== String(value) && !/^0[xo]/.test(source))
    report({
      code: 'value-wrong',
      message: `${label} is ${source}, which YAML reads as the number ${value}`,
      origin: originOf(leaf.layer.doc, node.at),
      help: `write it in quotes: "${source}"`,
    });
  return value;
}

function readArgs(
  value: Leaf | Tree | undefined,
  report: Findings['report'],
  check: Findings['check'],
): QemuOverrides['args'] {
  if (value === undefined || isUnset(value)) return [];
  if (!(value instanceof Leaf)) {
    report({ code: 'value-wrong', message: 'qemu.args is a map; a list of words is wanted', origin: placeOf(value) });
    return [];
  }
  const words = check(value, { type: 'list', of: 'string' }, 'qemu.args') as readonly string[] | undefined;
  const places = value.node.kind === 'list' ? value.node.items.map((item) => item.at) : [value.node.at];
  return (words ?? []).map((word, index) => {
    const origin = originOf(value.layer.doc, places[index] ?? value.node.at);
    // What follows an option is its value, and may hold anything.
    if (/^--?[a-z][\w-]*\s/i.test(word) && !words?.[index - 1]?.startsWith('-')) reportSentence(word, origin, report);
    return { word, origin };
  });
}

/** Nothing is split at blanks, so that QEMU would look for an option of that whole name. */
function reportSentence(word: string, origin: Origin, report: Findings['report']): void {
  const [option = '', ...value] = word.split(/\s+/);
  report({
    code: 'value-wrong',
    message: `qemu.args: ${JSON.stringify(word)} is one word for QEMU, and no option`,
    origin,
    help: `write ${JSON.stringify(option)}, ${JSON.stringify(value.join(' '))} in the list`,
  });
}

import { originOf, toPlain } from '../core/source.ts';
import type { QemuProps } from '../qemu/option.ts';
import type { Findings } from './findings.ts';
import type { QemuOverrides } from './spec.ts';
import { isUnset, Leaf, placeOf, type Tree } from './tree.ts';

/** Reads `qemu: { set: …, args: … }`. */
export function readOverrides(merged: Tree, { report, check }: Findings): QemuOverrides {
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
        origin: placeOf(value),
        help: 'it has `set` and `args`',
      });
  return { set: readSet(tree['set'], report), args: readArgs(tree['args'], report, check) };
}

function readSet(tree: Leaf | Tree | undefined, report: Findings['report']): QemuOverrides['set'] {
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
    const origin = placeOf(props);
    if (!(props instanceof Leaf)) return [{ target, origin, props: plainProps(props) }];
    report({ code: 'value-wrong', message: `qemu.set.${target} is no map of properties`, origin });
    return [];
  });
}

function plainProps(tree: Tree): { [key: string]: QemuProps[string] | null } {
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [
      key,
      value instanceof Leaf ? plainValue(toPlain(value.node)) : (plainProps(value) as QemuProps),
    ]),
  );
}

/** YAML 1.2 reads `on` as text; QEMU's JSON syntax wants a boolean. */
function plainValue(value: unknown): QemuProps[string] | null {
  if (value === 'on') return true;
  if (value === 'off') return false;
  return value as QemuProps[string] | null;
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
  return (words ?? []).map((word, index) => ({
    word,
    origin: originOf(value.layer.doc, places[index] ?? value.node.at),
  }));
}

import { suggestion } from '../../catalog/params.ts';
import { EXIT, fault } from '../../core/diagnostic.ts';
import { formatOrigin, type Origin } from '../../core/origin.ts';
import { shellJoin } from '../../core/quote.ts';
import { formatSize } from '../../core/size.ts';
import { isUnset, Leaf, type Tree } from '../../model/tree.ts';
import { ASSUMED_VERSION } from '../../qemu/option.ts';
import { renderOption } from '../../qemu/render.ts';
import { loadModel, type Model, planModel, questionsOf } from '../model.ts';
import { findFacts, type Planned } from '../pipeline.ts';
import { printable } from '../print/diagnostics.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

interface Explained {
  readonly key: string;
  readonly value: unknown;
  /** Of sizes, whose value is a number. */
  readonly unit?: 'bytes';
  readonly from: string | null;
  readonly overrides: readonly string[];
}

interface ExplainedOption {
  readonly option: string;
  readonly from: string | null;
}

export const verb: Verb = {
  usage: 'explain FILE|NAME [KEY]',
  summary: 'Tells which file and line gave each value and each QEMU option, and what it overrode.',
  example: 'ezvm explain windows-11.yaml cpu.cores',
  flags: { ...PLAN_FLAGS, ...JSON_FLAG },
  words: [1, 2],
  async run([ref = '', key], flags, context) {
    const model = await loadModel(ref, flags, context);
    const { facts } = await findFacts(questionsOf(model.spec), model.settings, flags, context);
    const plan = planModel(model, facts);
    const values = explainValues(model);
    const wanted =
      key === undefined ? values : values.filter((value) => value.key === key || value.key.startsWith(`${key}.`));
    if (key !== undefined && wanted.length === 0) {
      if (!model.catalog.section(key)) throw unknownKey(key, values);
      wanted.push({ key, value: 'none', from: null, overrides: [] });
    }
    const options = key === undefined ? explainOptions({ plan, facts }) : [];
    if (flags['json'])
      context.out(`${JSON.stringify(key === undefined ? { values: wanted, options } : wanted, undefined, 2)}\n`);
    else
      context.out(
        [...wanted.map(printValue), ...(options.length > 0 ? ['\n'] : []), ...options.map(printOption)].join(''),
      );
    return EXIT.ok;
  },
};

function explainValues(model: Model): Explained[] {
  return [...explainDevices(model), ...explainAbsent(model)];
}

/** Sections that something says the VM has not. */
function explainAbsent({ spec, catalog, merged }: Model): Explained[] {
  return catalog.sections.flatMap(({ name }) => {
    const whole = merged[name];
    const leaf = whole instanceof Leaf ? whole : leafAt(merged, [name, 'type']);
    if (!leaf || spec.devices.some(({ section }) => section === name)) return [];
    const overrides = leaf.overrides.map(({ origin }) => formatOrigin(origin));
    return [{ key: name, value: 'none', from: formatOrigin(leaf.origin), overrides }];
  });
}

function explainDevices({ spec, catalog, merged }: Model): Explained[] {
  return spec.devices.flatMap((device) => {
    const plural = catalog.section(device.section)?.plural !== undefined;
    const path = plural ? [device.section, device.id] : [device.section];
    const prefix = path.join('.');
    const chosen = leafAt(merged, [...path, 'type']);
    const type: Explained = {
      key: `${prefix}.type`,
      value: device.template.type,
      // The section's own default stands in no file of the user's; the template itself tells more.
      from: chosen ? formatOrigin(chosen.origin) : device.template.file,
      overrides: chosen?.overrides.map(({ origin }) => formatOrigin(origin)) ?? [],
    };
    const params = Object.entries(device.params)
      .filter(([, { value }]) => value !== null)
      .map(([name, { value, origin, overrides }]) => ({
        key: `${prefix}.${name}`,
        value,
        ...(device.template.params[name]?.type === 'size' && { unit: 'bytes' as const }),
        from: place(origin),
        overrides: overrides.map(formatOrigin),
      }));
    return [type, ...params];
  });
}

function leafAt(tree: Tree, path: readonly string[]): Leaf | undefined {
  const found = path.reduce<Tree | Leaf | undefined>(
    (node, key) => (node === undefined || node instanceof Leaf ? undefined : node[key]),
    tree,
  );
  return found instanceof Leaf && !isUnset(found) ? found : undefined;
}

function explainOptions({ plan, facts }: Planned): ExplainedOption[] {
  const version = facts.qemu?.version ?? ASSUMED_VERSION;
  return plan.qemu.options.map((option) => ({
    option: shellJoin(renderOption(option, 'keyval', version)),
    from: place(option.origin),
  }));
}

function place(origin: Origin | undefined): string | null {
  return origin ? formatOrigin(origin) : null;
}

function printValue({ key, value, unit, from, overrides }: Explained): string {
  const shown =
    unit === 'bytes' && typeof value === 'number'
      ? formatSize(value)
      : typeof value === 'string' && !/\s/.test(value)
        ? value
        : JSON.stringify(value);
  const text = `${key} = ${shown}`;
  const over = overrides.length > 0 ? `  (over ${overrides.join(', ')})` : '';
  return `${printable(`${text.padEnd(40)}  ${from ?? (value === 'none' ? 'nothing asks for one' : 'made by ezvm')}${over}`)}\n`;
}

function printOption({ option, from }: ExplainedOption): string {
  return `${printable(`${option}\n    ${from ?? 'added to every VM'}`)}\n`;
}

function unknownKey(key: string, values: readonly Explained[]): Error {
  const keys = values.map((value) => value.key);
  const help =
    suggestion(key, keys) ?? `there are ${[...new Set(keys.map((each) => each.split('.')[0] ?? ''))].join(', ')}`;
  return fault(EXIT.usage, 'key-unknown', `nothing is called ${key} in this VM`, { help });
}

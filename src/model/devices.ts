import type { Catalog } from '../catalog/catalog.ts';
import { listOf } from '../catalog/expected.ts';
import { checkGiven, type ParamValue, showValue, slipIn, suggestion } from '../catalog/params.ts';
import type { DeviceTemplate, ParamSpec, SectionSpec } from '../catalog/template.ts';
import { formatSize } from '../core/size.ts';
import type { Findings } from './findings.ts';
import type { DeviceSpec, SpecValue } from './spec.ts';
import { isUnset, keyPlaceOf, Leaf, placeOf, type Tree } from './tree.ts';

/** More than any machine has places for; some of what is done with devices is quadratic. */
const MAX_ITEMS = 256;

/** Judges the sections that hold devices. */
export class DeviceValidator {
  readonly #merged: Tree;
  readonly #catalog: Catalog;
  readonly #findings: Findings;

  constructor(merged: Tree, catalog: Catalog, findings: Findings) {
    this.#merged = merged;
    this.#catalog = catalog;
    this.#findings = findings;
  }

  devices(): DeviceSpec[] {
    return this.#catalog.sections.flatMap((section) => {
      const value = this.#merged[section.name];
      if (section.internal || value === undefined || isUnset(value)) return [];
      if (value instanceof Leaf) {
        this.#report('value-wrong', `${section.name} is ${showValue('a single value')}; settings are wanted`, value);
        return [];
      }
      if (section.plural === undefined) return this.#device(section, section.name, section.name, value);
      return this.#items(section, section.plural, value);
    });
  }

  #items(section: SectionSpec, stem: string, items: Tree): DeviceSpec[] {
    const sorted = sortItems(Object.entries(items));
    if (sorted.length > MAX_ITEMS)
      this.#report('items-many', `${section.name} has ${sorted.length} items; ${MAX_ITEMS} is the most`, items);
    return sorted.slice(0, MAX_ITEMS).flatMap(([id, value]) => {
      if (isUnset(value)) return [];
      if (!/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(id)) {
        this.#report(
          'id-refused',
          `${section.name}: the id ${showValue(id)} must be a letter followed by letters, digits, _ or -`,
          value,
          `ids are ${stem}0, ${stem}1, …, or a word of your own`,
        );
        return [];
      }
      const position = new RegExp(`^${stem}(\\d+)$`).exec(id)?.[1];
      const label = position === undefined ? `${section.name}.${id}` : `${section.name}[${position}]`;
      if (!(value instanceof Leaf)) return this.#device(section, id, label, value);
      this.#report('value-wrong', `${label} is no device; a map such as { ${section.short}: … } is wanted`, value);
      return [];
    });
  }

  #device(section: SectionSpec, id: string, label: string, given: Tree): DeviceSpec[] {
    const typeLeaf = given['type'];
    let type: ParamValue | undefined = section.default;
    if (typeLeaf !== undefined && !isUnset(typeLeaf)) {
      if (!(typeLeaf instanceof Leaf)) {
        this.#report(
          'value-wrong',
          `${label}.type is a map; one of ${listOf(this.#catalog.types(section))} is wanted`,
          typeLeaf,
        );
        return [];
      }
      type = this.#findings.check(typeLeaf, { type: 'string' }, `${label}.type`);
    }
    if (type === undefined || type === null) return [];
    const name = String(type);
    const template = this.#catalog.device(section, name);
    if (!template) {
      if (name === 'none') return [];
      const types = this.#catalog.types(section);
      this.#report(
        'type-unknown',
        `${label}.type is ${showValue(name)}; use ${listOf(types)}`,
        typeLeaf ?? given,
        (section.slips && slipIn(section.slips, name)) ?? suggestion(name, types),
      );
      return [];
    }
    const typeRank = typeLeaf instanceof Leaf ? typeLeaf.layer.rank : -1;
    this.#unknownKeys(section, template, label, given, typeRank);
    const params = this.#params(section, template, label, given);
    this.#order(template, label, params);
    const slot = given['slot'];
    const index =
      slot instanceof Leaf && !isUnset(slot)
        ? this.#findings.check(slot, { type: 'int', min: 0 }, `${label}.slot`)
        : trailingNumber(section, id);
    return [
      {
        section: section.name,
        id,
        template,
        params,
        index: typeof index === 'number' ? index : undefined,
        origin: placeOf(given),
        ...(typeLeaf instanceof Leaf && !isUnset(typeLeaf) && { typeOrigin: typeLeaf.origin }),
      },
    ];
  }

  /** A key that the chosen type lacks is a fault, unless a weaker layer wrote it for another type. */
  #unknownKeys(section: SectionSpec, template: DeviceTemplate, label: string, given: Tree, typeRank: number): void {
    const known = ['type', ...(section.plural === undefined ? [] : ['slot']), ...Object.keys(template.params)];
    for (const [key, value] of Object.entries(given)) {
      if (known.includes(key) || isUnset(value) || rankOf(value) < typeRank) continue;
      const owners = this.#catalog
        .types(section)
        .filter((type) => Object.hasOwn(this.#catalog.device(section, type)?.params ?? {}, key));
      const help =
        (section.slips && slipIn(section.slips, key)) ??
        suggestion(key, known) ??
        (owners.length > 0
          ? `${listOf(owners)} ${owners.length > 1 ? 'have' : 'has'} it; ${template.type} does not`
          : `known are ${known.join(' ')}`);
      this.#findings.report({
        code: 'key-unknown',
        message: `${label} (${template.type}) has no key ${showValue(key)}`,
        help,
        origin: keyPlaceOf(value),
      });
    }
  }

  #params(section: SectionSpec, template: DeviceTemplate, label: string, given: Tree): { [name: string]: SpecValue } {
    const shared = treeIn(treeIn(this.#merged, 'defaults'), section.name);
    const ofType = treeIn(shared, template.type);
    const params: { [name: string]: SpecValue } = {};
    for (const [name, spec] of Object.entries(template.params)) {
      // A type may be called as a parameter is: `bridge`.
      const isType = treeIn(shared, name) !== undefined && this.#catalog.types(section).includes(name);
      const value = given[name] ?? ofType?.[name] ?? (isType ? undefined : shared?.[name]);
      if (value instanceof Leaf) {
        const checked = isUnset(value) ? null : this.#findings.check(value, spec, `${label}.${name}`);
        params[name] = {
          value: checked ?? null,
          origin: value.origin,
          overrides: value.overrides.map((leaf) => leaf.origin),
        };
        // A deleted value falls back to the default.
        if (checked === null) params[name] = defaultOf(template, name, spec);
      } else if (value !== undefined) {
        this.#report('value-wrong', `${label}.${name} is a map; a single value is wanted`, value);
      } else params[name] = defaultOf(template, name, spec);
      const listed = params[name]?.value;
      if (spec.required && Array.isArray(listed) && listed.length === 0)
        this.#report('value-wrong', `${label}.${name} is empty; at least one is wanted`, value ?? given);
      const instead = spec.unless === undefined ? undefined : given[spec.unless];
      if (instead !== undefined && !isUnset(instead)) continue;
      if (spec.required && params[name]?.value === null && (value === undefined || isUnset(value)))
        this.#report(
          'key-missing',
          `${label} (${template.type}) needs ${name}${spec.unless === undefined ? '' : ` or ${spec.unless}`}`,
          given,
          spec.summary && `${name}: ${spec.summary}`,
        );
    }
    return params;
  }

  /** What must not be less than another parameter. */
  #order(template: DeviceTemplate, label: string, params: { readonly [name: string]: SpecValue }): void {
    for (const [name, { type, 'no-less-than': least }] of Object.entries(template.params)) {
      const [value, other] = [params[name], params[least ?? '']];
      if (typeof value?.value !== 'number' || typeof other?.value !== 'number' || value.value >= other.value) continue;
      const show = (number: number): string => (type === 'size' ? formatSize(number) : String(number));
      this.#findings.report({
        code: 'value-wrong',
        message: `${label}.${name} is ${show(value.value)}, less than ${least}, which is ${show(other.value)}`,
        help: 'change one of the two',
        origin: value.origin ?? other.origin,
      });
    }
  }

  #report(code: string, message: string, value: Leaf | Tree, help?: string): void {
    this.#findings.report({ code, message, help, origin: placeOf(value) });
  }
}

/** The default of a parameter as a checked value; `lint` vouches that it is of its type. */
export function defaultOf(template: DeviceTemplate, name: string, spec: ParamSpec): SpecValue {
  const checked = checkGiven(spec, spec.default ?? null);
  const value = 'value' in checked ? checked.value : null;
  return { value, origin: template.paramOrigins[name], overrides: [] };
}

function treeIn(tree: Tree | undefined, key: string): Tree | undefined {
  const value = tree?.[key];
  return value instanceof Leaf ? undefined : value;
}

function rankOf(value: Leaf | Tree): number {
  if (value instanceof Leaf) return value.layer.rank;
  return Math.max(-1, ...Object.values(value).map(rankOf));
}

/** `disk10` comes after `disk9`; ids of one's own keep the order in which they were written. */
function sortItems<T>(items: readonly (readonly [string, T])[]): readonly (readonly [string, T])[] {
  const number = (id: string): number => Number(/\d+$/.exec(id)?.[0] ?? Number.POSITIVE_INFINITY);
  return items.toSorted(([a], [b]) => (number(a) === number(b) ? 0 : number(a) - number(b)));
}

function trailingNumber(section: SectionSpec, id: string): number | undefined {
  if (section.plural === undefined) return 0;
  const match = new RegExp(`^${section.plural}(\\d{1,4})$`).exec(id);
  return match ? Number(match[1]) : undefined;
}

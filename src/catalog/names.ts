import type { FindPart } from './catalog.ts';
import type { DeviceTemplate, LetTable } from './template.ts';

/** What is there for templates to name. */
export interface Known {
  readonly resolvers: readonly string[];
  readonly sections: readonly string[];
  /** Kinds of places, of any machine. */
  readonly slots: readonly string[];
  /** What `board.has` lists, of any machine. */
  readonly features: readonly string[];
  /** @param name `<section>/<type>` */
  readonly hasDevice: (name: string) => boolean;
  readonly findPart: FindPart;
}

/** The values that a table or a condition over a name has to reckon with; undefined for those without end. */
export function valuesOf(device: DeviceTemplate, name: string, known: Known): readonly string[] | undefined {
  const { features, sections } = known;
  if (name === 'vm.gl' || name === 'host.gl') return ['on', 'off'];
  if (name === 'vm.accel') return ['kvm', 'hvf', 'tcg'];
  if (name.startsWith('section.')) return sections.includes(name.slice('section.'.length)) ? ['on', 'off'] : [];
  if (name.startsWith('board.')) return features.includes(name.slice('board.'.length)) ? ['on', 'off'] : [];
  const table = device.lets[name];
  if (table) {
    const values = Object.values(table.values).filter((value) => value !== null);
    return values.some((value) => /\$\{/.test(String(value))) ? undefined : values.map(wordOf);
  }
  const spec = device.params[name];
  if (name === 'vm.shared-memory') return ['on', 'off'];
  if (spec?.type === 'bool') return ['on', 'off'];
  return spec?.type === 'enum' && Array.isArray(spec.of) ? spec.of.map(wordOf) : undefined;
}

/** A value as tables and conditions of templates write it: switches are `on` and `off`. */
export function wordOf(value: unknown): string {
  return value === true ? 'on' : value === false ? 'off' : String(value);
}

/** What a table has to list; undefined where `by` names nothing that one can be over. */
export function wantedBy(
  by: LetTable['by'],
  device: DeviceTemplate,
  tables: readonly string[],
  known: Known,
): readonly string[] | undefined {
  if (typeof by !== 'string') return by.every((name) => device.params[name]) ? ['set', 'unset'] : undefined;
  if (/^(vm|host|board)\./.test(by)) return valuesOf(device, by, known);
  if (!device.params[by] && !tables.includes(by)) return undefined;
  const { type, of, default: fallback = null, required } = device.params[by] ?? {};
  const values = valuesOf(device, by, known);
  if (values) return type === undefined || required || fallback !== null ? values : [...values, 'unset'];
  return [...(type === 'word' && Array.isArray(of) ? of : []), 'set', 'unset'];
}

/** Every name that `${…}` in this template may use. */
export function namesIn(device: DeviceTemplate): ReadonlySet<string> {
  const numbers = Object.entries(device.params).filter(([, { type }]) => ['size', 'int', 'port'].includes(type));
  const paths = Object.entries(device.params).filter(([, { type }]) => type === 'path');
  return new Set([
    ...Object.keys(device.params),
    ...numbers.map(([name]) => `${name}.text`),
    ...paths.map(([name]) => `${name}.protocol`),
    ...Object.keys(device.lets),
    'id',
    'index',
    'boot-index',
    'vm.name',
    'vm.uuid',
    'vm.run',
    'vm.state',
    'vm.accel',
    'vm.shared-memory',
    ...(device.slot === undefined ? [] : ['slot.bus', 'slot.addr', 'slot.number', 'slot.channel', 'slot.unit']),
  ]);
}

import { Catalog } from '../src/catalog/catalog.ts';
import type { ParamValue } from '../src/catalog/params.ts';
import type { DeviceTemplate, ParamSpec, SectionSpec } from '../src/catalog/template.ts';
import { defaultOf } from '../src/model/devices.ts';
import type { DeviceSpec, VmSpec } from '../src/model/spec.ts';
import type { PlanContext } from '../src/plan/device.ts';
import { holds, namesOf } from '../src/plan/expand.ts';
import { folderTemplates } from './checkout.ts';
import { specOf } from './planned.ts';

/** A device type and the section it belongs to; `name` is its file's path below templates/, without ending. */
export interface DeviceType {
  readonly name: string;
  readonly section: SectionSpec;
  readonly template: DeviceTemplate;
}

export type Values = { readonly [param: string]: ParamValue };

export const CATALOG = new Catalog(folderTemplates());

/** Every device type there is, machines among them. */
export const DEVICES: readonly DeviceType[] = CATALOG.sections.flatMap((section) =>
  CATALOG.types(section).map((type) => {
    const name = `${section.folder}/${type}`;
    const template = CATALOG.device(section, type);
    if (!template) throw new Error(name);
    return { name, section, template };
  }),
);

/** The values of a parameter that has an end to them. */
export function choicesOf({ type, of }: ParamSpec): readonly ParamValue[] | undefined {
  if (type === 'bool') return [true, false];
  return (type === 'enum' || type === 'word') && Array.isArray(of) ? (of as string[]) : undefined;
}

/** A VM with nothing on it but what a line or more of a VM file asks for. */
export function emptyVm(lines: string): VmSpec {
  const none = 'rng: none\nsmbios: none\ndisplay: none\naudio: none\nusb: none\n';
  return specOf(`template: other\nmemory: 64M\n${none}${lines}`, CATALOG).spec;
}

/** Plain VGA is there because without it QEMU 7.2 dies of a window in full screen. */
export const EMPTY = emptyVm('');

/** `values` without those that the device's template refuses beside the others. */
export function compatible(device: DeviceType, values: Values): Values {
  const { refuse, useless } = device.template;
  const spec = specWith(device, values);
  const planned = spec.devices.find(
    ({ section, template }) => section === device.section.name && template === device.template,
  );
  if (!planned) return values;
  const names = namesOf(planned, {}, { spec, facts: { paths: {} } } as PlanContext);
  const first = [...refuse, ...useless].find(({ key, when }) => holds(when, names) && (values[key] ?? null) !== null);
  return first ? compatible(device, { ...values, [first.key]: null }) : values;
}

/** A device by itself; parameters that `values` does not name have their defaults. */
export function deviceWith({ section, template }: DeviceType, values: Values): DeviceSpec {
  const id = section.internal ? template.type : section.plural === undefined ? section.name : `${section.plural}0`;
  const params = Object.fromEntries(
    Object.entries(template.params).map(([name, spec]) => {
      const fallback = defaultOf(template, name, spec);
      return [name, Object.hasOwn(values, name) ? { ...fallback, value: values[name] ?? null } : fallback];
    }),
  );
  return { section: section.name, id, template, params, index: 0, origin: undefined };
}

/** An otherwise empty VM with one device. */
export function specWith(device: DeviceType, values: Values, empty: VmSpec = EMPTY): VmSpec {
  const section = device.section.name;
  // Not every board has these.
  const without = section === 'machine' ? ['machine', 'firmware', 'gpu'] : [section];
  const others = empty.devices.filter((other) => !without.includes(other.section));
  return { ...empty, devices: [...others, deviceWith(device, values)] };
}

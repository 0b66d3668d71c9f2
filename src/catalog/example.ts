import type { ParamSpec, ParamType } from './template.ts';

/** What a type by itself suggests; the others have too many meanings. */
const BY_TYPE: { readonly [type in ParamType]?: string | number } = {
  mac: '52:54:00:12:34:56',
  pci: '0000:03:00.0',
  port: 5901,
  uuid: '04d064c3-66a1-4aa7-9589-f8b3ecf91cd7',
  wwn: '0x5000c50015ea71aa',
  forward: '2222:22',
};

/** A value for a parameter that is not its default where another is known; undefined where a template has to give one. */
export function exampleOf(spec: ParamSpec): ParamSpec['example'] {
  if (spec.example !== undefined) return spec.example;
  if (spec.type === 'bool') return spec.default === true ? 'off' : 'on';
  if (spec.type === 'enum') return ((spec.of ?? []) as readonly string[]).find((value) => value !== spec.default);
  const known = BY_TYPE[spec.type === 'list' ? (spec.of as ParamType) : spec.type];
  return known !== undefined && spec.type === 'list' ? [String(known)] : known;
}

import { formatSize } from '../core/size.ts';
import { entryOf, toPlain } from '../core/source.ts';
import type { Catalog } from './catalog.ts';
import { exampleOf } from './example.ts';
import { lengthOf } from './expected.ts';
import { KEYS, type KeySpec, SETTINGS } from './keys.ts';
import type { DeviceTemplate, ParamSpec, ParamType, SectionSpec } from './template.ts';

/** Every key that a VM file may have, as Markdown: what it means, what it takes, its default, an example. */
export function referenceOf(catalog: Catalog): string {
  const sections = catalog.sections.filter(({ internal }) => !internal);
  return `${[
    '# Reference',
    'Every key of a VM file; `ezvm reference SECTION` prints one section, with the device types of your own. How files are\n' +
      'laid over each other is told in [the configuration language](language.md). Every device takes `type`; those that have a\n' +
      'place on a bus take `slot`, its number.',
    `Sections: ${sections.map(({ name }) => `[${name}](#${name})`).join(' ')}`,
    keyList('## Keys beside the sections', KEYS),
    keyList('## Settings files', SETTINGS),
    layerList('## OS templates', 'os', catalog),
    layerList('## Profiles', 'profiles', catalog),
    ...sections.map((section) => referenceOfSection(catalog, section).trimEnd()),
  ].join('\n\n')}\n`;
}

/** The part of the reference about one section. */
export function referenceOfSection(catalog: Catalog, section: SectionSpec): string {
  const types = catalog
    .types(section)
    .toSorted((a, b) => Number(b === section.default) - Number(a === section.default));
  const plural =
    section.plural === undefined
      ? ''
      : ` Several: ${section.plural}0, ${section.plural}1, … by position, or ids of your own.`;
  return `${[
    `## ${section.name}`,
    `${section.summary}. A bare value is its \`${section.short}\`; without a \`type\` it is \`${section.default}\`.${plural}`,
    ...types.flatMap((type) => {
      const device = catalog.device(section, type);
      return device ? [referenceOfDevice(section, device)] : [];
    }),
  ].join('\n\n')}\n`;
}

function referenceOfDevice(section: SectionSpec, device: DeviceTemplate): string {
  const params = Object.entries(device.params);
  // The default type by itself would say nothing.
  const showcase = device.type === section.default ? params.slice(0, 1).map(([name]) => name) : [];
  return [
    `### ${section.name}: ${device.type}`,
    `${device.summary}${device.needs?.qemu ? ` (QEMU ${device.needs.qemu})` : ''}`,
    `\`\`\`yaml\n${sampleOf(section, device, showcase)}\n\`\`\``,
    ...(params.length === 0 ? [] : [params.map(([name, spec]) => paramLine(name, spec)).join('\n')]),
  ].join('\n\n');
}

function paramLine(name: string, spec: ParamSpec): string {
  const example = exampleOf(spec);
  return [
    `- \`${name}\`: ${takes(spec)}, ${defaultOf(spec)}. ${spec.summary ?? ''}.`,
    ...(example === undefined ? [] : [`Example: \`${name}: ${flow(example)}\``]),
  ].join(' ');
}

/**
 * A line of a VM file that asks for a device: its type, and what it must be told.
 * @param more further keys to show
 */
export function sampleOf(section: SectionSpec, device: DeviceTemplate, more: readonly string[] = []): string {
  const isDefault = device.type === section.default;
  const told = Object.entries(device.params).filter(([name, { required }]) => required || more.includes(name));
  const keys = told.map(([name, spec]): [string, unknown] => [name, exampleOf(spec)]);
  if (!isDefault) keys.unshift(['type', device.type]);
  const [first] = keys;
  const value =
    keys.length === 0
      ? section.short === 'type'
        ? flow(device.type)
        : '{}'
      : keys.length === 1 && first?.[0] === section.short
        ? flow(first[1])
        : `{ ${keys.map(([key, given]) => `${key}: ${flow(given)}`).join(', ')} }`;
  return `${section.name}: ${section.plural === undefined ? value : `[${value}]`}`;
}

function keyList(title: string, keys: { readonly [key: string]: KeySpec }): string {
  const lines = Object.entries(keys).map(
    ([key, { summary, example, templatesOnly }]) =>
      `- \`${key}\`: ${summary}.${templatesOnly ? ' Only in OS templates and profiles.' : ''} Example: \`${example}\``,
  );
  return `${title}\n\n${lines.join('\n')}`;
}

function layerList(title: string, folder: 'os' | 'profiles', catalog: Catalog): string {
  const lines = catalog.layers(folder).map((name) => {
    const doc = catalog.layer(folder, name);
    const word = (key: string): string | undefined => {
      const node = doc && entryOf(doc.root, key)?.node;
      return node && String(toPlain(node));
    };
    const base = word('base');
    return `- \`${name}\`: ${word('summary') ?? ''}${base === undefined ? '' : `; based on \`${base}\``}`;
  });
  return `${title}\n\n${lines.join('\n')}`;
}

const TAKES: { readonly [type in Exclude<ParamType, 'list' | 'enum'>]: string } = {
  string: 'text',
  word: 'a word',
  int: 'a whole number',
  bool: '`on` or `off`',
  size: 'a size',
  path: 'a path',
  mac: 'a MAC address',
  pci: 'a PCI device',
  port: 'a port',
  uuid: 'a UUID',
  wwn: 'a World Wide Name',
  forward: 'a port forward',
};

function takes(spec: ParamSpec): string {
  if (spec.type === 'list') return `a list, each ${takes({ ...spec, type: spec.of as ParamType })}`;
  if (spec.type === 'enum')
    return ((spec.of ?? []) as readonly string[]).map((value) => `\`${value}\`${gate(spec, value)}`).join(' ');
  if (spec.type === 'word' && spec.of)
    return `${(spec.of as readonly string[]).map((value) => `\`${value}\``).join(' ')} or a word`;
  if (spec.type === 'string' || spec.type === 'word')
    return [`${TAKES[spec.type]}${gate(spec, 'set')}`, ...lengthOf(spec)].join(' ');
  const { min, max } = spec;
  const what = `${TAKES[spec.type]}${gate(spec, spec.type === 'bool' ? 'on' : 'set')}${spec['power-of-two'] ? ', a power of two' : ''}`;
  const show = (value: number): string => (spec.type === 'size' ? formatSize(value) : String(value));
  if (min === undefined && max === undefined) return what;
  if (max === undefined) return `${what}, at least ${show(min ?? 0)}`;
  return `${what} from ${show(min ?? 0)} to ${show(max)}`;
}

/** Which QEMU a value needs. */
function gate({ needs }: ParamSpec, value: string): string {
  return needs?.[value]?.qemu ? ` (QEMU ${needs[value].qemu})` : '';
}

function defaultOf(spec: ParamSpec): string {
  if (spec.required)
    return spec.unless === undefined ? '**required**' : `**required** unless \`${spec.unless}\` is given`;
  if (spec.derive !== undefined) return "made from the VM's uuid";
  const value = spec.default;
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return 'unset';
  return `default \`${value === true ? 'on' : value === false ? 'off' : flow(value)}\``;
}

/** A value in YAML's flow style, quoted where it would be read as something else. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'string') return String(value);
  const plain =
    /^[A-Za-z/~+-][\w./~=+-]*( [\w./~=+-]+)*$/.test(value) && !/^(null|true|false|[+-]?\.?(inf|nan))$/i.test(value);
  return plain ? value : JSON.stringify(value);
}

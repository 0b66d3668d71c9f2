import type { ParamValue } from '../../catalog/params.ts';
import { EXIT } from '../../core/diagnostic.ts';
import { formatSize } from '../../core/size.ts';
import type { DeviceSpec, VmSpec } from '../../model/spec.ts';
import { loadModel } from '../pipeline.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

const { set } = PLAN_FLAGS;

export const verb: Verb = {
  usage: 'show FILE|NAME',
  summary: 'Prints a VM with its template, profiles and all defaults filled in: a VM file that needs no template.',
  example: 'ezvm show windows-11.yaml',
  flags: { set, ...JSON_FLAG },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const { spec, catalog } = await loadModel(ref, flags, context);
    const plural = new Set(catalog.sections.filter((section) => section.plural !== undefined).map(({ name }) => name));
    const shown = showSpec(spec, plural);
    if (flags['json']) context.out(`${JSON.stringify(shown, undefined, 2)}\n`);
    else {
      const { stringify } = await import('yaml');
      context.out(stringify(shown, { flowCollectionPadding: true, lineWidth: 0 }));
    }
    return EXIT.ok;
  },
};

function showSpec(spec: VmSpec, plural: ReadonlySet<string>): Record<string, unknown> {
  const shown: Record<string, unknown> = {
    name: spec.name,
    uuid: spec.uuid,
    ...(spec.description !== undefined && { description: spec.description }),
  };
  for (const device of spec.devices) {
    const section = device.section;
    if (!plural.has(section)) shown[section] = showDevice(device);
    else shown[section] = { ...(shown[section] as object | undefined), [device.id]: showDevice(device) };
  }
  return shown;
}

function showDevice({ template, params }: DeviceSpec): Record<string, unknown> {
  const values = Object.entries(params)
    .filter(([, { value }]) => value !== null && !(Array.isArray(value) && value.length === 0))
    .map(([name, { value }]) => [name, showValue(value, template.params[name]?.type)]);
  return { type: template.type, ...Object.fromEntries(values) };
}

/** As it would be written in a VM file. */
function showValue(value: ParamValue, type: string | undefined): unknown {
  if (type === 'size' && typeof value === 'number') return formatSize(value);
  if (Array.isArray(value)) return value.map((item) => showValue(item, undefined));
  if (typeof value !== 'object' || value === null || !('str' in value)) return value;
  const [, protocol, host, from, to] = /^(\w+):([^:]*):(\d+)-:(\d+)$/.exec(value.str) ?? [];
  return `${protocol}/${host}:${from}:${to}`;
}

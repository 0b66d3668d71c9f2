import type { ParamValue } from '../../catalog/params.ts';
import type { SectionSpec } from '../../catalog/template.ts';
import { EXIT } from '../../core/diagnostic.ts';
import { formatSize } from '../../core/size.ts';
import type { DeviceSpec, VmSpec } from '../../model/spec.ts';
import { loadModel } from '../model.ts';
import { JSON_FLAG, PLAN_FLAGS, type Verb } from '../verb.ts';

const { set } = PLAN_FLAGS;

/** What a terminal would obey rather than show. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}]/u;

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export const verb: Verb = {
  usage: 'show FILE|NAME',
  summary: 'Prints a VM with its template, profiles and all defaults filled in: a VM file that needs no template.',
  example: 'ezvm show windows-11.yaml',
  flags: { set, ...JSON_FLAG },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const { spec, catalog, notes } = await loadModel(ref, flags, context);
    context.report(notes);
    const shown = escapeReferences(showSpec(spec, catalog.sections));
    if (flags['json']) context.out(`${JSON.stringify(shown, undefined, 2)}\n`);
    else {
      const { Document, visit } = await import('yaml');
      const document = new Document(shown);
      visit(document, {
        Scalar: (_, node) => {
          if (typeof node.value === 'string' && UNPRINTABLE.test(node.value)) node.type = 'QUOTE_DOUBLE';
        },
      });
      const text = document.toString({ flowCollectionPadding: true, lineWidth: 0 });
      context.out(text.replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, escapeCharacter));
    }
    return EXIT.ok;
  },
};

function showSpec(spec: VmSpec, sections: readonly SectionSpec[]): Record<string, unknown> {
  const devices = sections
    .filter((section) => !section.internal)
    .map((section): [string, unknown] => {
      const own = spec.devices.filter((device) => device.section === section.name);
      // What is not there is said, or a template would put it there when this is read again.
      if (own.length === 0) return [section.name, 'none'];
      if (section.plural === undefined) return [section.name, own.map(showDevice)[0]];
      return [section.name, Object.fromEntries(own.map((device) => [device.id, showItem(device, section)]))];
    });
  return {
    template: 'none',
    name: spec.name,
    uuid: spec.uuid,
    ...(spec.description !== undefined && { description: spec.description }),
    run: { 'stop-timeout': spec.stopTimeout },
    ...Object.fromEntries(devices),
    ...showOverrides(spec.qemu),
  };
}

/** What is shown has no references any more; text that looks like one must not become one when it is read again. */
function escapeReferences(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escapeReferences);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escapeReferences(inner)]));
}

function showOverrides({ set, args }: VmSpec['qemu']): { qemu?: object } {
  if (set.length === 0 && args.length === 0) return {};
  return {
    qemu: {
      set: Object.fromEntries(set.map(({ target, props }) => [target, props])),
      args: args.map(({ word }) => word),
    },
  };
}

/** The number that an id of one's own does not show. */
function showItem(device: DeviceSpec, section: SectionSpec): Record<string, unknown> {
  const shown = showDevice(device);
  return device.index === undefined || device.id === `${section.plural}${device.index}`
    ? shown
    : { ...shown, slot: device.index };
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

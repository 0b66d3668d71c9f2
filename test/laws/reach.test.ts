import { describe, expect, it } from 'vitest';
import type { ParamValue } from '../../src/catalog/params.ts';
import type { ParamSpec } from '../../src/catalog/template.ts';
import type { VmSpec } from '../../src/model/spec.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { findReach } from '../../src/plan/reach.ts';
import { CATALOG, choicesOf, DEVICES, type DeviceType } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const HOST = hostFacts('laptop');
const LONELY = { template: 'other', network: null, audio: 'none', display: 'none', spice: 'none', usb: 'none' };

/** What names something of the host's or of the network's without its type saying so. */
const NAMES_OF_OTHERS = /(^|-)(host|addr|address|portal|server|mcast|ifname|interface|parent|bridge|group|vg|lv)$/;
/** Of those: the router's address inside of the VM, and a name that disks of this VM share. */
const NO_NAMES_OF_OTHERS = /(network\/user host|disks\/.* throttle-group)$/;

type Settings = { readonly [param: string]: ParamValue };

/** A value that stands nowhere else in a plan, as a VM file has it; undefined for what names nothing outside of the VM. */
function sampleOf(name: string, { type, of, expect: kind, example, pattern }: ParamSpec): ParamValue | undefined {
  if (type === 'list') {
    const item = sampleOf(name, { type: of as ParamSpec['type'] });
    return item === undefined ? undefined : [item];
  }
  if (type === 'path' && pattern === undefined) return `/elsewhere/${name}`;
  if (type === 'port') return 5432;
  if (type === 'pci') return '0000:07:10.0';
  if (type === 'forward') return '5432:22';
  if (!['path', 'word', 'string'].includes(type)) return undefined;
  return kind !== undefined || NAMES_OF_OTHERS.test(name) ? (example as string) : undefined;
}

/** Ways of writing the device down that may make a parameter count: with others, and with every value of each. */
function* waysOf({ template }: DeviceType, name: string, sample: ParamValue): Generator<Settings> {
  const others = Object.entries(template.params).filter(([other]) => other !== name);
  const exampleOf = ([other, spec]: (typeof others)[number]): [string, ParamValue] => {
    return [other, sampleOf(other, spec) ?? (spec.example as ParamValue | undefined) ?? null];
  };
  const given = others.map(exampleOf).filter(([, value]) => value !== null);
  const required = others.filter(([, spec]) => spec.required && spec.unless !== name).map(exampleOf);
  for (const base of [Object.fromEntries(required), Object.fromEntries(given)]) {
    yield { ...base, [name]: sample };
    for (const [other, value] of given) yield { ...base, [other]: value, [name]: sample };
    for (const [other, spec] of others)
      for (const value of choicesOf(spec) ?? []) yield { ...base, [other]: value, [name]: sample };
  }
}

function planOf({ section, template }: DeviceType, settings: Settings): { plan: Plan; spec: VmSpec } | undefined {
  const device = { type: template.type, ...settings };
  const vm = { ...LONELY, [section.name]: section.plural === undefined ? device : [device] };
  const { spec, diagnostics } = specOf(JSON.stringify(vm), CATALOG);
  if (diagnostics.length > 0) return undefined;
  const assembled = assemble(spec, CATALOG, HOST);
  return assembled.diagnostics.length > 0 ? undefined : { plan: assembled.plan, spec };
}

const PARAMS = DEVICES.filter(({ section }) => !section.internal).flatMap((device) =>
  Object.entries(device.template.params).flatMap(([name, spec]) => {
    const title = `${device.name} ${name}`;
    const sample = sampleOf(name, spec);
    return sample === undefined || NO_NAMES_OF_OTHERS.test(title) ? [] : [{ title, device, name, sample }];
  }),
);

describe('whatever a device names outside of the VM', () => {
  it.each(PARAMS)('is told of: $title', ({ device, name, sample }) => {
    const text = String(Array.isArray(sample) ? sample[0] : sample).replace(/:22$/, '');
    let counted = 0;
    for (const settings of waysOf(device, name, sample)) {
      const planned = planOf(device, settings);
      if (!planned) continue;
      const { plan, spec } = planned;
      const { options, descriptors, passwords } = plan.qemu;
      if (!JSON.stringify([options, descriptors, passwords, plan.sidecars, plan.requirements]).includes(text)) continue;
      counted++;
      const told = findReach(plan, spec).map(({ what }) => what);
      if (!told.some((what) => what.includes(text))) expect.fail(`${JSON.stringify(settings)}\n${told.join('\n')}`);
    }
    expect(counted).toBeGreaterThan(0);
  });
});

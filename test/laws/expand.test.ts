import { describe, expect, it } from 'vitest';
import type { ParamValue } from '../../src/catalog/params.ts';
import type { ParamSpec } from '../../src/catalog/template.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import type { VmSpec } from '../../src/model/spec.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { RESOLVERS } from '../../src/plan/resolvers/index.ts';
import { covering } from '../covering.ts';
import { CATALOG, choicesOf, compatible, DEVICES, type DeviceType, specWith, type Values } from '../one-device.ts';
import { hostFacts } from '../planned.ts';
import { ALSO_OF_QEMU, OURS_ALONE } from '../refusals.ts';
import { brokenReferences, sharedPlaces } from './references.ts';

const HOSTS = { laptop: hostFacts('laptop'), bare: hostFacts('bare') };

/** One value of each type, where a template does not list them. */
const SAMPLES: { readonly [type in ParamSpec['type']]: ParamValue } = {
  string: 'it\'s, a="b" \\ ö',
  word: 'word-1',
  int: 1,
  bool: true,
  size: 134217728,
  path: '/some, where/a=b',
  enum: null,
  mac: '52:54:00:12:34:56',
  pci: '0000:03:00.0',
  port: 5999,
  uuid: '11111111-2222-4333-8444-555555555555',
  wwn: { u64: '0x5000c50015ea71aa' },
  forward: { str: 'tcp:127.0.0.1:2222-:22' },
  list: null,
};

function sampleOf(name: string, spec: ParamSpec): ParamValue {
  if (spec.type === 'path') return `${SAMPLES.path}/${name}`;
  if (spec.type !== 'list') return SAMPLES[spec.type];
  if (spec.of === 'string' && Array.isArray(spec.example)) return spec.example;
  // The CPU's flags are names that become properties.
  const item = spec.of === 'string' ? '+aes' : SAMPLES[spec.of as ParamSpec['type']];
  return spec.of === 'pci' ? [item, '0000:03:00.1'] : [item];
}

/** More combinations than these are covered, every three values together at least once. */
const MOST = 3000;

/**
 * Every combination of a template's enumerated parameters, each twice: with all the others given, and with none but those
 * required. A parameter whose default is null is also tried unset.
 */
function combinations(device: DeviceType): Values[] {
  const named = Object.entries(device.template.params);
  const plain = named.filter(([, spec]) => !choicesOf(spec));
  const bases: Values[] = [
    Object.fromEntries(plain.map(([name, spec]) => [name, sampleOf(name, spec)])),
    Object.fromEntries(
      plain.filter(([, { required }]) => required).map(([name, spec]) => [name, sampleOf(name, spec)]),
    ),
  ];
  const choices = Object.fromEntries(
    named.flatMap(([name, spec]) => {
      const values = choicesOf(spec);
      return values ? [[name, spec.default === undefined ? [...values, null] : values]] : [];
    }),
  );
  const total = Object.values(choices).reduce((product, { length }) => product * length, 1);
  const rows = covering(choices, total > MOST ? 3 : Object.keys(choices).length);
  return bases.flatMap((base) => rows.map((row) => compatible(device, { ...base, ...(row as Values) })));
}

/** What is wrong with the plan of one combination. */
function faultsOf(spec: VmSpec, facts: HostFacts): string[] {
  const first = assemble(spec, CATALOG, facts);
  const text = JSON.stringify(first);
  const faults = first.diagnostics.map(({ code, message }) => `${code}: ${message}`);
  // Settings that do not go together are told; what would come of them is no plan.
  if (faults.length > 0)
    return faults.filter((fault) => ![...ALSO_OF_QEMU, ...OURS_ALONE].some((code) => fault.startsWith(`${code}: `)));
  if (JSON.stringify(assemble(spec, CATALOG, facts)) !== text) faults.push('a second plan differs');
  if (/\$\{|undefined|\[object/.test(text)) faults.push(`something was not replaced: ${text.slice(0, 400)}`);
  const broken = brokenReferences(first.plan.qemu.options);
  // What other devices require may be made for them alone.
  const idle = spec.devices.some(({ template }) => template.type === 'iothread');
  return [...faults, ...(idle ? [] : broken), ...sharedPlaces(first.plan.qemu.options)];
}

describe('L5, L6, L8: every combination of enumerated parameters', () => {
  const counted = DEVICES.map((device) => ({ ...device, combos: combinations(device) }));

  it.each(counted.map((each) => ({ ...each, count: each.combos.length })))(
    '$name: $count plans are sound, whole and the same twice, or refused by name',
    ({ combos, ...device }) => {
      for (const values of combos)
        for (const facts of combos.length > 2000 ? [HOSTS.laptop] : Object.values(HOSTS)) {
          const faults = faultsOf(specWith(device, values), facts);
          if (faults.length > 0) expect.fail(`${JSON.stringify(values)}\n${faults.join('\n')}`);
        }
    },
  );
});

describe('the vocabulary', () => {
  const hard = DEVICES.filter(({ template }) => template.resolver !== undefined).map(({ name }) => name);

  it('has code for less than a third of the device types', () => {
    process.stdout.write(`${hard.length} of ${DEVICES.length} device types need code: ${hard.join(', ')}\n`);
    expect(hard.length).toBeLessThan(DEVICES.length / 3);
  });

  it('has every resolver used, and every resolver that is used', () => {
    for (const { template } of DEVICES)
      if (template.resolver) expect(Object.keys(RESOLVERS)).toContain(template.resolver);
    for (const name of Object.keys(RESOLVERS)) expect(DEVICES.map(({ template }) => template.resolver)).toContain(name);
  });
});

describe('L8: the places of every machine', () => {
  const machines = DEVICES.filter(({ section }) => section.name === 'machine');

  /** Kinds that may not be used together, or mean the same ports, as the machine's own comments say. */
  // A floppy's number wraps around: there are two drives.
  const SHARED = [
    'floppy=floppy',
    'sata=ide',
    'scsi-controller=pvscsi',
    'pvscsi=lsi',
    'lsi=megasas',
    'disk=scsi-single',
    'gpu-passthrough=pci',
    'usb=usb-tablet',
    'usb-ehci=usb-tablet',
    'usb-uhci=usb-tablet',
  ];

  it.each(machines)('$name: no two kinds share one, and none is where the board has its own', ({ template }) => {
    const taken = new Map<string, string>();
    const pci = new Map<string, string>();
    for (const [kind, { bus: common = '', at }] of Object.entries(template.slots ?? {}))
      for (const [index, text] of at.entries()) {
        const label = `${kind}[${index}]`;
        const [bus = '', place = ''] = text.includes('/') ? text.split('/') : [common, text];
        const [slot = '', fn] = place.split('.');
        const onPci = /^(pcie?\.|ich9)/.test(bus);
        const key = onPci ? `${bus} ${Number.parseInt(slot, 16)}.${fn ?? 0}` : `${bus} ${place}`;
        const other = taken.get(key)?.replace(/\[.*/, '');
        if (!SHARED.some((pair) => pair === `${other}=${kind}` || pair === `${kind}=${other}`))
          expect(other, label).toBeUndefined();
        taken.set(key, label);
        if (!onPci || other !== undefined || bus.startsWith('ich9')) continue;
        expect(place, label).toMatch(bus === 'pcie.0' ? /^([1-9a-f]|1[0-9a-e])(\.[0-7])?$/ : /^([1-9a-f]|1[0-9a-f])$/);
        if (bus === 'pci.0' && template.board?.name === 'pc') expect(place, label).not.toBe('1');
        // A slot is either one device's, or shared function by function.
        const mode = fn === undefined ? label : 'functions';
        const slotPlace = `${bus} ${Number.parseInt(slot, 16)}`;
        expect([undefined, 'functions'], label).toContain(pci.get(slotPlace));
        if (pci.has(slotPlace)) expect(mode, label).toBe('functions');
        pci.set(slotPlace, mode);
      }
    expect(taken.size).toBeGreaterThan(60);
  });

  it.each(machines)(
    '$name: what shares a slot function by function has root ports, of which function 0 comes along',
    ({ template }) => {
      for (const [kind, { bus, at, 'root-port': port }] of Object.entries(template.slots ?? {}))
        for (const text of at) {
          if (!text.includes('.') || text.includes('/') || bus === 'ide') continue;
          expect(port, kind).toBe(true);
          expect(
            Object.values(template.slots ?? {}).some((other) => other.at.includes(text.replace(/\.\d$/, '.0'))),
            text,
          ).toBe(true);
        }
    },
  );
});

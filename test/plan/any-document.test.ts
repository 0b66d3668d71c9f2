import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { folderTemplates } from '../checkout.ts';
import { hostileText } from '../hostile-text.ts';
import { hostFacts, specOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const HOSTS = [hostFacts('laptop'), hostFacts('bare')];

const SECTIONS = CATALOG.sections.map(({ name }) => name);
const KEYS = [
  ...SECTIONS,
  ...['template', 'profiles', 'name', 'uuid', 'description', 'vars', 'defaults', 'run', 'qemu', 'base', 'minimum'],
  ...[
    'type',
    'slot',
    'set',
    'args',
    'stop-timeout',
    'disk0',
    'disk1',
    'net0',
    'usb0',
    'x',
    '0',
    'device:gpu',
    'machine',
  ],
  ...['constructor', 'toString', 'hasOwnProperty', '__defineGetter__', 'valueOf', ''],
  ...CATALOG.sections.flatMap((section) =>
    CATALOG.types(section).flatMap((type) => Object.keys(CATALOG.device(section, type)?.params ?? {})),
  ),
];
const WORDS = [
  ...CATALOG.sections.flatMap((section) => CATALOG.types(section)),
  ...[
    'linux',
    'windows-11',
    'macos',
    'gaming',
    'office',
    'headless',
    'none',
    'on',
    'off',
    'auto',
    '4G',
    '0000:03:00.0',
    '2222:22',
  ],
  ...[
    '${vm.name}',
    '${vars.x}',
    '${1+vars.x}',
    '52:54:00:00:00:01',
    '/dev/sda',
    'a.qcow2',
    'scsi',
    'sata',
    'usb',
    'nvme',
    'constructor',
  ],
];

const scalar = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(null, true, false, 0, 1, 2, -1, 1.5, 1e21, 65536) },
  { weight: 1, arbitrary: hostileText() },
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** Documents whose sections exist, so that more of it is understood. */
const document = fc.oneof(
  value,
  fc.dictionary(fc.constantFrom(...KEYS.slice(0, SECTIONS.length + 11)), value, { maxKeys: 8, noNullPrototype: true }),
);

/** A device of some type with some of its own parameters: mostly sound, so that planning gets to see it. */
const device = fc
  .constantFrom(
    ...CATALOG.sections
      .filter(({ internal }) => !internal)
      .flatMap((section) => CATALOG.types(section).map((type) => ({ section, type }))),
  )
  .chain(({ section, type }) => {
    const params = Object.entries(CATALOG.device(section, type)?.params ?? {});
    return fc.tuple(
      fc.constant(section),
      fc.constant(type),
      fc.tuple(
        ...params.map(([name, spec]) =>
          fc.option(
            sound(spec.type, spec.of).map((each) => [name, each] as const),
            { freq: spec.required ? 20 : 1 },
          ),
        ),
      ),
      fc.option(fc.nat({ max: 17 })),
    );
  })
  .map(([section, type, given, slot]) => {
    const own = { type, ...Object.fromEntries(given.filter((pair) => pair !== null)) };
    return [section.name, section.plural ? [slot === null ? own : { ...own, slot }] : own] as const;
  });

function sound(type: string, of: unknown): fc.Arbitrary<unknown> {
  switch (type) {
    case 'bool':
      return fc.boolean();
    case 'int':
      return fc.integer({ min: -1, max: 5 });
    case 'port':
      return fc.integer({ min: 5900, max: 5905 });
    case 'size':
      return fc.constantFrom('1M', '2G', '1500000');
    case 'enum':
      return fc.constantFrom(...(of as readonly string[]));
    case 'mac':
      return fc.constant('52:54:00:00:00:01');
    case 'pci':
      return fc.constantFrom('0000:03:00.0', '0000:03:00.1');
    case 'forward':
      return fc.constantFrom('2222:22', 'udp/53:53');
    case 'list':
      return fc.array(sound(String(of), undefined), { maxLength: 3 });
    case 'word':
      return fc.constantFrom('br0', 'max', 'x1');
    default:
      return hostileText();
  }
}

function holds(written: unknown): 'refused' | 'planned' {
  const yaml = JSON.stringify(written, undefined, 1).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const lines = yaml.split('\n');
  const { spec, diagnostics } = specOf(yaml, CATALOG);
  for (const { message, help, origin } of diagnostics) {
    expect(`${message} ${help ?? ''}`).not.toMatch(/\bundefined\b|\[object|NaN|function \w*\(/);
    expect(origin).toBeDefined();
    if (origin?.file !== 'vm.yaml') continue;
    expect(origin.line).toBeLessThanOrEqual(lines.length);
    expect(origin.column).toBeLessThanOrEqual((lines[origin.line - 1]?.length ?? 0) + 1);
  }
  if (diagnostics.length > 0) return 'refused';
  for (const host of HOSTS) {
    const { plan, diagnostics: faults } = assemble(spec, CATALOG, host);
    for (const { message } of faults) expect(message).not.toMatch(/\bundefined\b|\[object|NaN/);
    if (faults.length > 0) continue;
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    for (const word of renderOptions(plan.qemu.options, 'keyval', { major: 6, minor: 0, micro: 0 })) {
      expect(typeof word).toBe('string');
      expect(word).not.toMatch(/\bundefined\b|\[object Object/);
    }
  }
  return 'planned';
}

describe('any document at all', () => {
  it('is planned or refused at its places, and is never a bug', () => {
    fc.assert(
      fc.property(document, (written) => {
        holds(written);
      }),
      { numRuns: 3000 },
    );
  });

  it('that is made of sound devices is so too', () => {
    let planned = 0;
    fc.assert(
      fc.property(
        fc.array(device, { maxLength: 5 }),
        fc.constantFrom('linux', 'windows-11', 'macos', 'other'),
        (devices, template) => {
          if (holds({ template, ...Object.fromEntries(devices) }) === 'planned') planned++;
        },
      ),
      { numRuns: 1500 },
    );
    expect(planned).toBeGreaterThan(300);
  });
});

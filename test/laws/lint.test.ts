import { describe, expect, it } from 'vitest';
import { readDevice, readOwn } from '../../src/catalog/catalog.ts';
import { exampleOf } from '../../src/catalog/example.ts';
import { lintTemplates } from '../../src/catalog/lint.ts';
import type { TemplateSource } from '../../src/catalog/template.ts';
import { formatOrigin } from '../../src/core/origin.ts';
import type { MapNode, SourceDoc, SourceNode } from '../../src/core/source.ts';
import { parse } from '../../src/model/parse.ts';
import { RESOLVERS } from '../../src/plan/resolvers/index.ts';
import { folderTemplates } from '../checkout.ts';

const source = folderTemplates();
const devices = source
  .folders()
  .filter((folder) => folder === 'machines' || folder === 'parts' || folder.startsWith('devices/'))
  .flatMap((folder) => source.list(folder).map((type) => `${folder}/${type}.yaml`));

function faultsOf(templates: TemplateSource): string[] {
  return lintTemplates(templates, { all: templates, resolvers: Object.keys(RESOLVERS) }).map(
    ({ origin, message }) => `${origin ? formatOrigin(origin) : '?'} ${message}`,
  );
}

/** The real templates with one file more, or another in the place of one. */
function withFile(path: string, doc: SourceDoc): TemplateSource {
  const [, folder = '', name = ''] = /^(.*)\/(.*)\.yaml$/.exec(path) ?? [];
  return {
    ...source,
    read: (asked) => (asked === path ? doc : source.read(asked)),
    list: (asked) => (asked === folder ? [...new Set([...source.list(asked), name])].toSorted() : source.list(asked)),
    folders: () => [...new Set([...source.folders(), folder])].toSorted(),
  };
}

function docOf(path: string): SourceDoc {
  const doc = source.read(path);
  if (!doc) throw new Error(path);
  return doc;
}

describe('L1 to L4: every template means something', () => {
  it('holds for all of templates/', () => {
    expect(devices.length).toBeGreaterThan(40);
    expect(faultsOf(source)).toEqual([]);
  });

  it('gives every parameter an example', () => {
    const without = devices.flatMap((path) =>
      Object.entries(readOwn(docOf(path), path).params)
        .filter(([, spec]) => exampleOf(spec) === undefined)
        .map(([name]) => `${path}: ${name} needs an \`example:\``),
    );
    expect(without).toEqual([]);
  });

  it.each([
    ['an unknown key', 'summary: x\nemits: []', '1:1 the template: Unrecognized key: "emits"'],
    ['no summary', 'emit: []', '1:1 summary: '],
    ['an unknown type', 'summary: x\nparams:\n  a: { type: number, summary: y }', '3:8 params.a.type: '],
    [
      'an unknown key of a parameter',
      'summary: x\nparams:\n  a: { type: int, summary: y, mim: 1 }',
      '3:3 params.a: Unrecognized key: "mim"',
    ],
    ['an enum without values', 'summary: x\nparams:\n  a: { type: enum, summary: y }', '3:3 params.a: an enum needs'],
    ['a list of nothing', 'summary: x\nparams:\n  a: { type: list, summary: y }', '3:3 params.a: a list needs'],
    [
      'what a file holds',
      'summary: x\nparams:\n  a: { type: path, expect: file, holds: [b], summary: y }',
      '3:3 params.a: `holds` is about a directory',
    ],
    [
      'a default of another type',
      'summary: x\nparams:\n  a: { type: int, default: many, summary: y }',
      '3:19 the default of a is "many"',
    ],
    [
      'an example of another type',
      'summary: x\nparams:\n  a: { type: int, example: many, summary: y }',
      '3:19 the example of a is "many"',
    ],
    [
      'a default out of bounds',
      'summary: x\nparams:\n  a: { type: int, max: 3, default: 4, summary: y }',
      '3:27 the default of a is 4',
    ],
    [
      'a default that is no choice',
      'summary: x\nparams:\n  a: { type: enum, of: [b, c], default: d, summary: y }',
      '3:32 the default of a is "d"',
    ],
    [
      'a default of what is required',
      'summary: x\nparams:\n  a: { type: int, required: true, default: 1, summary: y }',
      '3:3 params.a: what is required needs no default',
    ],
    [
      'what may be given instead, and is not there',
      'summary: x\nparams:\n  a: { type: int, required: true, unless: b, summary: y }',
      '3:35 unless: there is no parameter b',
    ],
    [
      'a table with a hole',
      'summary: x\nparams:\n  a: { type: enum, of: [b, c], summary: y }\nlet:\n  t: { by: a, b: 1 }',
      '5:3 let t says nothing about c',
    ],
    [
      'a table with a value that never comes',
      'summary: x\nparams:\n  a: { type: bool, default: on, summary: y }\nlet:\n  t: { by: a, on: 1, off: 2, auto: 3 }',
      '5:3 let t: a is never auto',
    ],
    [
      'a table over a number',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nlet:\n  t: { by: a, one: 1 }',
      '5:3 let t: a is no enum or bool parameter',
    ],
    [
      'a table that forgets what is not given',
      'summary: x\nparams:\n  a: { type: bool, summary: y }\nlet:\n  t: { by: a, on: 1, off: 2 }',
      '5:3 let t says nothing about unset',
    ],
    [
      'a table of presence with a hole',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nlet:\n  t: { by: [a], set: 1 }',
      '5:3 let t says nothing about unset',
    ],
    [
      'a table over a table below it',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nlet:\n  t: { by: u, set: 1, unset: 2 }\n  u: { by: a, set: 1, unset: 2 }',
      '5:3 let t: u is no enum or bool parameter',
    ],
    [
      'a table that refers to nothing',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nlet:\n  t: { by: a, set: "${b}", unset: 2 }',
      '5:3 ${b} names nothing',
    ],
    [
      'a refusal that blames nothing',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nrefuse:\n  - { when: { a: set }, key: b, message: m, help: h }',
      '5:25 refuse: there is no parameter b',
    ],
    [
      'a condition on a table that never holds',
      'summary: x\nparams:\n  a: { type: int, summary: y }\nlet:\n  t: { by: a, set: on, unset: off }\nwarn:\n  - { when: { t: maybe }, key: a, message: m, help: h }',
      '7:7 when: t is never maybe',
    ],
    ['a table over nothing', 'summary: x\nlet:\n  t: { by: a, one: 1 }', '3:3 let t: a is no enum or bool parameter'],
    ['a reference to nothing', 'summary: x\nemit:\n  - device: { driver: "${model}" }', '3:15 ${model} names nothing'],
    [
      'a reference to nothing in text',
      'summary: x\nemit:\n  - device:\n      driver: x\n      id: "a-${index}-${nr}"',
      '5:7 ${nr} names nothing',
    ],
    [
      'a slot that was not asked for',
      'summary: x\nemit:\n  - device: { driver: x, bus: "${slot.bus}" }',
      '3:26 ${slot.bus} names nothing',
    ],
    [
      'what only a resolver gives',
      'summary: x\nemit:\n  - device: { driver: "${resolved.driver}" }',
      '3:15 ${resolved.driver} names nothing',
    ],
    [
      'a reference to nothing in a sidecar',
      'summary: x\nsidecars:\n  - name: s\n    start: before-qemu\n    argv: [s, "${port}"]',
      '5:15 ${port} names nothing',
    ],
    [
      'a condition on nothing',
      'summary: x\nemit:\n  - device: { driver: x }\n    when: { fast: true }',
      '4:5 when: there is no parameter fast',
    ],
    [
      'a condition that never holds',
      'summary: x\nparams:\n  a: { type: enum, of: [b], summary: y }\nemit:\n  - device: { driver: x }\n    when: { a: c }',
      '6:5 when: a is never c',
    ],
    [
      'a condition of a sidecar that never holds',
      'summary: x\nparams:\n  a: { type: bool, summary: y }\nsidecars:\n  - name: s\n    start: after-qemu\n    argv: [s, { args: [-f], when: { a: maybe } }]',
      '7:29 when: a is never maybe',
    ],
    [
      'two options in one entry',
      'summary: x\nemit:\n  - device: { driver: x }\n    chardev: { backend: null }',
      '3:5 emit.0: an entry is one option',
    ],
    ['a version that is no range', 'summary: x\nneeds: { qemu: "8.1" }\nemit: []', '2:10 needs.qemu: as in ">=8.1"'],
    [
      'a version for a value that never comes',
      'summary: x\nparams:\n  a: { type: enum, of: [b], summary: y, needs: { c: { qemu: ">=8.1" } } }',
      '3:50 needs: a is never c',
    ],
    [
      'a version for a value of what has no end of them',
      'summary: x\nparams:\n  a: { type: int, summary: y, needs: { 1: { qemu: ">=8.1" } } }',
      '3:40 needs: a is never 1',
    ],
    [
      'a value in the place of another that is none',
      'summary: x\nparams:\n  a: { type: bool, summary: y, needs: { on: { qemu: ">=8.1", otherwise: auto } } }',
      '3:41 needs: auto is no value of a that any QEMU has',
    ],
    [
      'a requirement on what is not there',
      'summary: x\nrequires: [bus/isa]\nemit: []',
      '2:12 requires: there is no device bus/isa',
    ],
    [
      'a requirement on what is not there, under a condition',
      'summary: x\nparams:\n  a: { type: bool, summary: y }\nrequires:\n  - { device: scsi, when: { a: on } }',
      '5:5 requires: there is no device scsi',
    ],
    [
      'a slot of which no machine has places',
      'summary: x\nslot: isa\nemit: []',
      '2:1 no machine has places of the kind isa',
    ],
    [
      'a table of slots of which no machine has places',
      'summary: x\nslot: "${t}"\nparams:\n  a: { type: bool, default: on, summary: y }\nlet:\n  t: { by: a, on: disk, off: tape }',
      '2:1 no machine has places of the kind tape',
    ],
    [
      'a table called as a parameter is',
      'summary: x\nparams:\n  a: { type: bool, default: on, summary: y }\nlet:\n  a: { by: vm.accel, kvm: 1, hvf: 2, tcg: 3 }',
      '5:3 let a: there is a parameter of that name',
    ],
    [
      'a parameter called as a table of a part is',
      'summary: x\ninclude: [drive]\nparams:\n  family: { type: int, summary: y, example: 1 }',
      '4:3 let family: there is a parameter of that name',
    ],
    ['a part that is not there', 'summary: x\ninclude: [network-cart]', '2:11 there is no part network-cart'],
    ['a resolver that is not there', 'summary: x\nresolver: magic\nemit: []', '2:1 there is no resolver magic'],
    [
      'a value for a board that is not there',
      'summary: x\nparams:\n  a: { type: bool, summary: y, needs: { on: { board: isaa } } }',
      '3:41 needs: no board has isaa',
    ],
    [
      'an option for a board that is not there',
      'summary: x\nemit:\n  - device: { driver: a }\n    needs: { board: isaa }',
      '3:5 needs: no board has isaa',
    ],
  ])('is broken by %s', (_, text, fault) => {
    const path = 'devices/gpu/wrong.yaml';
    const { doc, diagnostics } = parse(text, `templates/${path}`);
    expect(diagnostics).toEqual([]);
    const faults = faultsOf(withFile(path, doc));
    expect(faults.length, faults.join('\n')).toBe(1);
    expect(faults[0]).toContain(`templates/${path}:${fault}`);
  });
});

describe('parts', () => {
  const textAt = (path: string, text: string): SourceDoc => parse(text, `templates/${path}`).doc;

  it('bring parameters, tables and options; what a template says itself comes first and wins', () => {
    const part = textAt(
      'parts/p.yaml',
      'summary: p\nparams:\n  a: { type: int, default: 1, summary: p }\nemit: [{ m: "${a}" }]',
    );
    const whole = readDevice(
      textAt(
        'devices/gpu/x.yaml',
        'summary: x\ninclude: [p]\nparams:\n  a: { type: int, default: 2, summary: x }\nemit: [{ smp: "${a}" }]',
      ),
      'x',
      (name) => (name === 'p' ? part : undefined),
    );
    expect(whole.summary).toBe('x');
    expect(whole.params['a']).toMatchObject({ default: 2, summary: 'x' });
    expect(whole.paramOrigins['a']).toMatchObject({ file: 'templates/devices/gpu/x.yaml', line: 4 });
    expect(whole.emit.map(({ option, origin }) => [option, origin.file])).toEqual([
      ['smp', 'templates/devices/gpu/x.yaml'],
      ['m', 'templates/parts/p.yaml'],
    ]);
  });

  it('bring every key that a template has of its own, gates too', () => {
    const part = textAt(
      'parts/p.yaml',
      `summary: p\nneeds: { board: isa }\nshared-memory: true\nslot: disk\nresolver: numa\n`,
    );
    const doc = textAt('devices/gpu/x.yaml', 'summary: x\ninclude: [p]\nneeds: { qemu: ">=8.0" }\nresolver: disk');
    expect(readDevice(doc, 'x', () => part)).toMatchObject({
      needs: { board: 'isa', qemu: '>=8.0' },
      'shared-memory': true,
      slot: 'disk',
      resolver: 'disk',
    });
  });

  it('have no board, which is asked of machines alone', () => {
    const path = 'parts/wrong.yaml';
    const text = 'summary: x\nboard: { name: a, arch: b, has: [c] }';
    expect(faultsOf(withFile(path, textAt(path, text)))).toEqual([`templates/${path}:2:1 only a machine has a board`]);
  });

  it('speak only of what they bring themselves', () => {
    const path = 'parts/wrong.yaml';
    expect(faultsOf(withFile(path, textAt(path, 'summary: x\nemit: [{ m: "${other}" }]')))).toEqual([
      `templates/${path}:2:10 \${other} names nothing`,
    ]);
  });

  it('that include one another are told of', () => {
    const path = 'parts/network-card-choice.yaml';
    const faults = faultsOf(withFile(path, textAt(path, 'summary: x\ninclude: [network-card]')));
    expect(faults).toContain(
      `templates/${path}:2:11 include goes round in a circle: network-card → network-card-choice → network-card`,
    );
  });
});

describe('a template that lies where nothing looks', () => {
  it.each([
    ['devices/gpus/x.yaml', 'there is no section gpus'],
    ['device/gpu/x.yaml', 'nothing looks for templates in device/gpu'],
    ['machine/x.yaml', 'nothing looks for templates in machine'],
  ])('is told of %s', (path, message) => {
    const { doc } = parse('summary: x\nemit: []', `templates/${path}`);
    expect(faultsOf(withFile(path, doc))).toEqual([`templates/${path}:1:1 ${message}`]);
  });
});

/** Every document that differs from `doc` in one place, which `change` finds and alters. */
function mutants(
  doc: SourceDoc,
  change: (node: SourceNode, path: readonly string[]) => SourceNode | undefined,
): SourceDoc[] {
  const found: SourceDoc[] = [];
  const walk = (node: SourceNode, path: readonly string[], rebuild: (node: SourceNode) => SourceNode): void => {
    const changed = change(node, path);
    if (changed) found.push({ ...doc, root: rebuild(changed) as MapNode });
    if (node.kind === 'map')
      for (const [index, entry] of node.entries.entries())
        walk(entry.node, [...path, entry.key], (inner) =>
          rebuild({ ...node, entries: node.entries.with(index, { ...entry, node: inner }) }),
        );
    if (node.kind === 'list')
      for (const [index, item] of node.items.entries())
        walk(item, [...path, String(index)], (inner) => rebuild({ ...node, items: node.items.with(index, inner) }));
  };
  walk(doc.root, [], (node) => node);
  return found;
}

const REFERENCE = /\$\{([^}]+)\}/;

describe.each([
  {
    flaw: 'a reference misspelled',
    change: (node: SourceNode, path: readonly string[]) =>
      node.kind === 'scalar' &&
      typeof node.value === 'string' &&
      REFERENCE.test(node.value) &&
      path.at(-1) !== 'summary'
        ? { ...node, value: node.value.replace(REFERENCE, '${$1x}') }
        : undefined,
    least: 150,
  },
  {
    flaw: 'a line of a table lost',
    change: (node: SourceNode, path: readonly string[]) =>
      node.kind === 'map' && path.length === 2 && path[0] === 'let'
        ? { ...node, entries: node.entries.slice(0, -1) }
        : undefined,
    least: 8,
  },
  {
    flaw: 'a condition on a value that never comes',
    change: (node: SourceNode, path: readonly string[]) =>
      node.kind === 'scalar' && path.at(-2) === 'when' && node.value !== 'set' && node.value !== 'unset'
        ? { ...node, value: 'never-so' }
        : undefined,
    least: 10,
  },
  {
    flaw: 'a key that nothing reads',
    change: (node: SourceNode, path: readonly string[]): SourceNode | undefined =>
      node.kind === 'map' && (path.length === 0 || (path.length === 2 && path[0] === 'params'))
        ? {
            ...node,
            entries: [...node.entries, { key: 'odd', at: node.at, node: { kind: 'scalar', at: node.at, value: 1 } }],
          }
        : undefined,
    least: 100,
  },
  {
    flaw: 'a type that does not exist',
    change: (node: SourceNode, path: readonly string[]) =>
      node.kind === 'scalar' && path[0] === 'params' && path.at(-1) === 'type'
        ? { ...node, value: 'float' }
        : undefined,
    least: 80,
  },
])('$flaw', ({ change, least }) => {
  it('is told, in whichever template and place', () => {
    const missed: string[] = [];
    let count = 0;
    for (const path of devices)
      for (const mutant of mutants(docOf(path), change)) {
        count++;
        // A misspelled reference to what a resolver gives is found by expanding, not by reading: see expand.test.ts.
        if (/\$\{resolved\.[\w-]+x\}/.test(JSON.stringify(mutant))) continue;
        const faults = faultsOf(withFile(path, mutant));
        if (!faults.some((fault) => /^templates\/\S+\.yaml:\d+:\d+ /.test(fault))) missed.push(path);
      }
    expect(missed).toEqual([]);
    expect(count).toBeGreaterThanOrEqual(least);
  });
});

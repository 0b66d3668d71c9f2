import type { Diagnostic } from '../core/diagnostic.ts';
import {
  entryOf,
  type MapNode,
  originOf,
  type Position,
  type SourceDoc,
  type SourceNode,
  toPlain,
} from '../core/source.ts';
import { type FindPart, includedIn, partPath, readDevice, readOwn } from './catalog.ts';
import { checkParam, suggestion } from './params.ts';
import { DEVICE_TEMPLATE, SECTIONS } from './schema.ts';
import type { BoardSpec, DeviceTemplate, LetTable, Needs, ParamSpec, TemplateSource, When } from './template.ts';

/** What a template may name beyond its own file. */
export interface LintScope {
  /** The templates that are checked and those they are laid over. */
  readonly all: TemplateSource;
  readonly resolvers: readonly string[];
}

/**
 * Checks every template of a source: its place and shape, that every reference names something, that tables and conditions
 * speak of values that exist, and that defaults are of their type.
 */
export function lintTemplates(source: TemplateSource, scope: LintScope): Diagnostic[] {
  const sections = source.read('sections.yaml');
  const wrong = sections ? lintShape(sections, SECTIONS) : [];
  if (wrong.length > 0) return wrong;
  const known: Known = {
    resolvers: scope.resolvers,
    sections: scope.all.read('sections.yaml')?.root.entries.map(({ key }) => key) ?? [],
    slots: slotsIn(scope.all),
    features: boardFeatures(scope.all),
    hasDevice: (name) => scope.all.read(`devices/${name}.yaml`) !== undefined,
    findPart: (name) => scope.all.read(partPath(name)),
  };
  return source
    .folders()
    .flatMap((folder) =>
      source.list(folder).flatMap((type) => lintFile(source.read(`${folder}/${type}.yaml`), folder, type, known)),
    );
}

/** What is there for templates to name. */
interface Known {
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

function slotsIn(source: TemplateSource): string[] {
  return ['machines', 'parts'].flatMap((folder) =>
    source.list(folder).flatMap((type) => {
      const slots = entryOf(source.read(`${folder}/${type}.yaml`)?.root ?? NOTHING, 'slots')?.node;
      return slots?.kind === 'map' ? slots.entries.map(({ key }) => key) : [];
    }),
  );
}

/** Everything that some machine's board has, as templates name it. */
export function boardFeatures(source: TemplateSource): string[] {
  return source.list('machines').flatMap((type) => {
    const board = entryOf(source.read(`machines/${type}.yaml`)?.root ?? NOTHING, 'board')?.node;
    return board ? ((toPlain(board) as Partial<BoardSpec> | null)?.has ?? []) : [];
  });
}

const NOTHING: MapNode = { kind: 'map', at: [1, 1], entries: [] };

/** A template that lies where nothing looks for it would silently be none. */
function lintFile(doc: SourceDoc | undefined, folder: string, type: string, known: Known): Diagnostic[] {
  if (!doc || folder === 'os' || folder === 'profiles') return [];
  const section = /^devices\/([^/]+)$/.exec(folder)?.[1];
  const board = folder === 'machines' ? undefined : entryOf(doc.root, 'board');
  if (board)
    return [
      {
        severity: 'error',
        code: 'template-wrong',
        message: 'only a machine has a board',
        origin: originOf(doc, board.at),
        help: 'write it in each of the templates in machines/',
      },
    ];
  if (folder === 'machines' || folder === 'parts' || (section !== undefined && known.sections.includes(section)))
    return lintDevice(doc, type, known);
  return [
    {
      severity: 'error',
      code: 'template-wrong',
      message: section === undefined ? `nothing looks for templates in ${folder}` : `there is no section ${section}`,
      origin: originOf(doc, doc.root.at),
      help:
        (section === undefined ? undefined : suggestion(section, known.sections)) ??
        'templates lie in os, profiles, machines, parts and devices/<section>',
    },
  ];
}

interface Shape {
  safeParse(
    value: unknown,
  ):
    | { success: true }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
}

function lintShape(doc: SourceDoc, shape: Shape): Diagnostic[] {
  const result = shape.safeParse(toPlain(doc.root));
  if (result.success) return [];
  return result.error.issues.map(({ path, message }) => ({
    severity: 'error',
    code: 'template-wrong',
    message: `${path.join('.') || 'the template'}: ${message}`,
    origin: originOf(doc, placeAt(doc.root, path)),
    help: 'CONTRIBUTING.md tells what a template may say',
  }));
}

/** The position of the deepest part of `path` that is there. */
function placeAt(node: SourceNode, path: readonly PropertyKey[]): Position {
  const [first, ...rest] = path;
  if (first === undefined) return node.at;
  if (node.kind === 'list') {
    const item = node.items[Number(first)];
    return item ? placeAt(item, rest) : node.at;
  }
  const entry = node.kind === 'map' ? node.entries.find(({ key }) => key === first) : undefined;
  if (!entry) return node.at;
  return rest.length === 0 ? entry.at : placeAt(entry.node, rest);
}

function lintDevice(doc: SourceDoc, type: string, known: Known): Diagnostic[] {
  const shape = lintShape(doc, DEVICE_TEMPLATE);
  if (shape.length > 0) return shape;
  const report: Diagnostic[] = [];
  const fault = (message: string, path: readonly PropertyKey[]): unknown =>
    report.push({ severity: 'error', code: 'template-wrong', message, origin: originOf(doc, placeAt(doc.root, path)) });

  lintIncludes(doc, known.findPart, fault);
  if (report.length > 0) return report;
  const own = readOwn(doc, type);
  // A template may speak of what its parts bring; a part, being linted by itself, only of its own.
  const whole = readDevice(doc, type, known.findPart);
  lintValues(own, fault);
  lintNeeds(own, known, fault);
  lintLets(own, whole, known, fault);
  lintNames(own, whole, known, fault);
  lintSidecars(own, whole, fault);
  const names = namesIn(whole);
  for (const [path, text] of textsOf(toPlain(doc.root)))
    if (path[0] !== 'params' && path[0] !== 'let' && path[0] !== 'summary' && path.at(-1) !== 'summary')
      for (const [, name = ''] of text.matchAll(/\$\{([^}]*)\}/g))
        if (!names.has(name) && !(whole.resolver !== undefined && name.startsWith('resolved.')))
          fault(`\${${name}} names nothing`, path);
  const whens: [When | undefined, readonly PropertyKey[]][] = [
    ...(['emit', 'requires', 'sidecars', 'refuse', 'useless', 'warn'] as const).flatMap((key) =>
      own[key].map((entry, index): [When | undefined, readonly PropertyKey[]] => [entry.when, [key, index, 'when']]),
    ),
    ...own.guest.map((entry, index): [When | undefined, readonly PropertyKey[]] => [
      typeof entry === 'string' ? undefined : entry.when,
      ['guest', index, 'when'],
    ]),
    ...own.sidecars.flatMap((entry, index) =>
      entry.programs.flatMap((program, at): [When | undefined, readonly PropertyKey[]][] => {
        // One program may stand in the sidecar itself.
        const listed = placeAt(doc.root, ['sidecars', index]) !== placeAt(doc.root, ['sidecars', index, 'programs']);
        const path = ['sidecars', index, ...(listed ? ['programs', at] : [])];
        return [
          [program.when, [...path, 'when']],
          ...program.argv.map((word, place): [When | undefined, readonly PropertyKey[]] => [
            typeof word === 'string' ? undefined : word.when,
            [...path, 'argv', place, 'when'],
          ]),
        ];
      }),
    ),
  ];
  for (const [when, path] of whens) lintWhen(whole, when, known, (message) => fault(message, path));
  const gates: [Needs | undefined, readonly PropertyKey[]][] = [
    [own.needs, ['needs']],
    ...own.emit.map(({ needs }, index): [Needs | undefined, readonly PropertyKey[]] => [needs, ['emit', index]]),
  ];
  for (const [needs, path] of gates)
    if (needs?.board !== undefined && !known.features.includes(needs.board))
      fault(`needs: no board has ${needs.board}`, path);
  return report;
}

type Fault = (message: string, path: readonly PropertyKey[]) => unknown;

/** Reading the parts of a template that fails this would find nothing, or never end. */
function lintIncludes(doc: SourceDoc, findPart: FindPart, fault: Fault): void {
  const visit = (names: readonly string[], path: readonly PropertyKey[], above: readonly string[]): void => {
    for (const [index, name] of names.entries()) {
      const place = path.length === 0 ? ['include', index] : path;
      const part = findPart(name);
      if (above.includes(name)) fault(`include goes round in a circle: ${[...above, name].join(' → ')}`, place);
      else if (part) visit(includedIn(part), place, [...above, name]);
      else fault(`there is no part ${name}`, place);
    }
  };
  visit(includedIn(doc), [], []);
}

function lintValues(device: DeviceTemplate, fault: Fault): void {
  for (const [name, spec] of Object.entries(device.params)) {
    for (const key of ['default', 'example'] as const) {
      const wrong = spec[key] === undefined || spec[key] === null ? undefined : faultIn(spec, spec[key]);
      if (wrong !== undefined) fault(`the ${key} of ${name} is ${wrong}`, ['params', name, key]);
    }
  }
}

/** A version gate on a value that never comes up would silently be none. */
function lintNeeds(device: DeviceTemplate, known: Known, fault: Fault): void {
  for (const [name, { needs }] of Object.entries(device.params)) {
    const values = valuesOf(device, name, known) ?? ['set'];
    for (const [value, { otherwise = 'refuse' }] of Object.entries(needs ?? {})) {
      const path = ['params', name, 'needs', value];
      if (!values.includes(value)) fault(`needs: ${name} is never ${value}`, path);
      if (!['refuse', 'omit'].includes(otherwise) && (!values.includes(otherwise) || otherwise in (needs ?? {})))
        fault(`needs: ${otherwise} is no value of ${name} that any QEMU has`, path);
    }
  }
}

/** What is wrong with a value that a template itself gives for a parameter. */
function faultIn(spec: ParamSpec, given: NonNullable<ParamSpec['default']>): string | undefined {
  const node: SourceNode =
    typeof given === 'object'
      ? { kind: 'list', at: [1, 1], items: given.map((value) => ({ kind: 'scalar', at: [1, 1], value })) }
      : { kind: 'scalar', at: [1, 1], value: given };
  const checked = checkParam(spec, node, { resolvePath: (path) => path });
  return 'faults' in checked ? checked.faults[0]?.message : undefined;
}

/** The values that a table or a condition over a name has to reckon with; undefined for those without end. */
function valuesOf(device: DeviceTemplate, name: string, known: Known): readonly string[] | undefined {
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

function wordOf(value: unknown): string {
  return value === true ? 'on' : value === false ? 'off' : String(value);
}

function lintLets(own: DeviceTemplate, whole: DeviceTemplate, known: Known, fault: Fault): void {
  const order = Object.keys(whole.lets);
  const builtIn = namesIn({ ...whole, lets: {} });
  for (const name of order)
    if (whole.params[name] && (own.lets[name] || own.params[name]))
      fault(`let ${name}: there is a parameter of that name`, [own.lets[name] ? 'let' : 'params', name]);
  for (const [name, { by, values }] of Object.entries(own.lets)) {
    const above = order.slice(0, order.indexOf(name));
    const wanted = wantedBy(by, whole, above, known);
    if (wanted?.length === 0) fault(`let ${name}: there is no ${String(by)}`, ['let', name]);
    const given = Object.keys(values);
    if (!wanted || (wanted.includes('set') && !given.includes('set'))) {
      fault(`let ${name}: ${by} is no enum or bool parameter`, ['let', name]);
      continue;
    }
    const missing = wanted.filter((value) => !given.includes(value));
    const strange = given.filter((value) => !wanted.includes(value));
    if (missing.length > 0) fault(`let ${name} says nothing about ${missing.join(', ')}`, ['let', name]);
    if (strange.length > 0) fault(`let ${name}: ${by} is never ${strange.join(', ')}`, ['let', name]);
    for (const text of Object.values(values))
      for (const [, used = ''] of String(text).matchAll(/\$\{([^}]*)\}/g))
        if (!builtIn.has(used) && !above.includes(used)) fault(`\${${used}} names nothing`, ['let', name]);
  }
}

/** Where a table says when a sidecar starts, or what closing it does, each of its values must be one. */
function lintSidecars(own: DeviceTemplate, whole: DeviceTemplate, fault: Fault): void {
  const words = { start: ['before-qemu', 'after-qemu', 'when-asked'], 'on-close': ['stop', null] } as const;
  for (const [index, sidecar] of own.sidecars.entries()) {
    for (const [at, { key }] of (sidecar.complaints ?? []).entries())
      if (!whole.params[key]) fault(`there is no parameter ${key}`, ['sidecars', index, 'complaints', at]);
    for (const key of ['start', 'on-close'] as const) {
      const table = whole.lets[/^\$\{(.+)\}$/.exec(sidecar[key] ?? '')?.[1] ?? ''];
      for (const value of Object.values(table?.values ?? {}))
        if (!words[key].some((word) => word === value)) fault(`${key} is never ${value}`, ['sidecars', index, key]);
    }
  }
}

/** What a table has to list; undefined where `by` names nothing that one can be over. */
function wantedBy(
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

/** What the template names that other files have to bring. */
function lintNames(own: DeviceTemplate, whole: DeviceTemplate, known: Known, fault: Fault): void {
  const { resolver, slot } = own;
  if (resolver !== undefined && !known.resolvers.includes(resolver))
    fault(`there is no resolver ${resolver}`, ['resolver']);
  const table = /^\$\{(.+)\}$/.exec(slot ?? '')?.[1];
  const kinds = table === undefined ? [slot] : Object.values(whole.lets[table]?.values ?? {});
  for (const kind of new Set(kinds))
    if (kind !== undefined && kind !== null && !known.slots.includes(String(kind)))
      fault(`no machine has places of the kind ${kind}`, ['slot']);
  for (const key of ['refuse', 'useless', 'warn'] as const)
    for (const [index, entry] of own[key].entries())
      if (!whole.params[entry.key]) fault(`${key}: there is no parameter ${entry.key}`, [key, index, 'key']);
  for (const [param, { unless }] of Object.entries(own.params))
    if (unless !== undefined && !whole.params[unless])
      fault(`unless: there is no parameter ${unless}`, ['params', param, 'unless']);
  for (const [param, { 'no-less-than': least }] of Object.entries(own.params))
    if (least !== undefined && !whole.params[least])
      fault(`no-less-than: there is no parameter ${least}`, ['params', param, 'no-less-than']);
  for (const [index, { device: wanted }] of own.requires.entries())
    if (!/^[^/]+\/[^/]+$/.test(wanted) || !known.hasDevice(wanted))
      fault(`requires: there is no device ${wanted}`, ['requires', index]);
}

function lintWhen(
  device: DeviceTemplate,
  when: When | undefined,
  known: Known,
  fault: (message: string) => void,
): void {
  for (const [name, wanted] of Object.entries(when ?? {})) {
    const values = valuesOf(device, name, known);
    const isPlace = name === 'slot.number' && device.slot !== undefined;
    if (!device.params[name] && !device.lets[name] && !values?.length && !isPlace)
      fault(`when: there is no parameter ${name}`);
    else if (wanted !== 'set' && wanted !== 'unset') {
      for (const value of Array.isArray(wanted) ? wanted : [wanted])
        if (isPlace ? !/^\d+$/.test(wordOf(value)) : values && !values.includes(wordOf(value)))
          fault(`when: ${name} is never ${wordOf(value)}`);
    }
  }
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
    'vm.shared-memory',
    ...(device.slot === undefined ? [] : ['slot.bus', 'slot.addr', 'slot.number', 'slot.channel', 'slot.unit']),
  ]);
}

function* textsOf(value: unknown, path: readonly PropertyKey[] = []): Generator<[readonly PropertyKey[], string]> {
  if (typeof value === 'string') yield [path, value];
  else if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* textsOf(item, [...path, index]);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) yield* textsOf(item, [...path, key]);
}

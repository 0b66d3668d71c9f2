import type { Diagnostic } from '../core/diagnostic.ts';
import { originOf, type Position, type SourceDoc, type SourceNode, toPlain } from '../core/source.ts';
import { type FindPart, includedIn, readDevice, readOwn } from './catalog.ts';
import { type Known, namesIn, valuesOf, wantedBy, wordOf } from './names.ts';
import { checkGiven } from './params.ts';
import { DEVICE_TEMPLATE } from './schema.ts';
import type { DeviceTemplate, Needs, When } from './template.ts';

interface Shape {
  safeParse(
    value: unknown,
  ):
    | { success: true }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
}

/** What a file says that no template of its kind may. */
export function lintShape(doc: SourceDoc, shape: Shape): Diagnostic[] {
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
function placeAt(node: SourceNode, path: Path): Position {
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

type Path = readonly PropertyKey[];
type Fault = (message: string, path: Path) => unknown;

/** Checks one template of a device, a machine or a part. */
export function lintDevice(doc: SourceDoc, type: string, known: Known): Diagnostic[] {
  const shape = lintShape(doc, DEVICE_TEMPLATE);
  if (shape.length > 0) return shape;
  const report: Diagnostic[] = [];
  const fault: Fault = (message, path) =>
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
  lintReferences(doc, whole, fault);
  for (const [when, path] of conditionsOf(own, doc)) lintWhen(whole, when, known, (message) => fault(message, path));
  return report;
}

/** Tables are judged by themselves; in parameters and summaries a reference is only text. */
function lintReferences(doc: SourceDoc, whole: DeviceTemplate, fault: Fault): void {
  const names = namesIn(whole);
  for (const [path, text] of textsOf(toPlain(doc.root)))
    if (path[0] !== 'params' && path[0] !== 'let' && path.at(-1) !== 'summary')
      for (const [, name = ''] of text.matchAll(/\$\{([^}]*)\}/g))
        if (!names.has(name) && !(whole.resolver !== undefined && name.startsWith('resolved.')))
          fault(`\${${name}} names nothing`, path);
}

function* conditionsOf(own: DeviceTemplate, doc: SourceDoc): Generator<[When | undefined, Path]> {
  for (const key of ['emit', 'requires', 'sidecars', 'refuse', 'useless', 'warn'] as const)
    for (const [index, { when }] of own[key].entries()) yield [when, [key, index, 'when']];
  for (const [index, entry] of own.guest.entries())
    if (typeof entry !== 'string') yield [entry.when, ['guest', index, 'when']];
  const written = (toPlain(doc.root) as { sidecars?: readonly object[] }).sidecars ?? [];
  for (const [index, { programs }] of own.sidecars.entries())
    for (const [at, program] of programs.entries()) {
      // One program may stand in the sidecar itself.
      const path = ['sidecars', index, ...('programs' in (written[index] ?? {}) ? ['programs', at] : [])];
      yield [program.when, [...path, 'when']];
      for (const [place, word] of program.argv.entries())
        if (typeof word !== 'string') yield [word.when, [...path, 'argv', place, 'when']];
    }
}

/** Reading the parts of a template that fails this would find nothing, or never end. */
function lintIncludes(doc: SourceDoc, findPart: FindPart, fault: Fault): void {
  const visit = (names: readonly string[], path: Path, above: readonly string[]): void => {
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
      const checked = checkGiven(spec, spec[key] ?? null);
      if ('faults' in checked) fault(`the ${key} of ${name} is ${checked.faults[0]?.message}`, ['params', name, key]);
    }
  }
}

/** A gate on a value that never comes up, or for a board that there is not, would silently be none. */
function lintNeeds(device: DeviceTemplate, known: Known, fault: Fault): void {
  const lintBoard = (needs: Pick<Needs, 'board'> | undefined, path: Path): void => {
    if (needs?.board !== undefined && !known.features.includes(needs.board))
      fault(`needs: no board has ${needs.board}`, path);
  };
  lintBoard(device.needs, ['needs']);
  for (const [index, { needs }] of device.emit.entries()) lintBoard(needs, ['emit', index]);
  for (const [name, { needs }] of Object.entries(device.params)) {
    const values = valuesOf(device, name, known) ?? ['set'];
    for (const [value, gate] of Object.entries(needs ?? {})) {
      const { otherwise = 'refuse' } = gate;
      const path = ['params', name, 'needs', value];
      lintBoard(gate, path);
      if (!values.includes(value)) fault(`needs: ${name} is never ${value}`, path);
      if (!['refuse', 'omit'].includes(otherwise) && (!values.includes(otherwise) || otherwise in (needs ?? {})))
        fault(`needs: ${otherwise} is no value of ${name} that any QEMU has`, path);
    }
  }
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

function* textsOf(value: unknown, path: Path = []): Generator<[Path, string]> {
  if (typeof value === 'string') yield [path, value];
  else if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* textsOf(item, [...path, index]);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) yield* textsOf(item, [...path, key]);
}

import type { Catalog } from '../catalog/catalog.ts';
import { KEYS, keysOf, topKeys } from '../catalog/keys.ts';
import { checkParam, type ParamContext, showValue, slipIn, suggestion } from '../catalog/params.ts';
import type { ParamSpec, Slips } from '../catalog/template.ts';
import { isVmName } from '../catalog/vm-name.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { stableUuid } from '../core/hash.ts';
import { originOf } from '../core/source.ts';
import { DeviceValidator } from './devices.ts';
import type { Findings } from './findings.ts';
import { interpolate, type Scope } from './interpolate.ts';
import { readOverrides } from './overrides.ts';
import type { VmSpec } from './spec.ts';
import { isUnset, keyPlaceOf, type Layer, Leaf, placeOf, type Tree } from './tree.ts';

/** Where the VM file is, and how a relative path is made absolute; `model` itself knows no file system. */
export interface ValidateContext {
  readonly file: string;
  /** Name of the VM where the file gives none. */
  readonly stem: string;
  /** @param dir of the layer that says the path */
  readonly resolvePath: (dir: string, path: string) => string;
}

/**
 * Judges the merged tree: every key known, every value of its type, every device complete.
 * @returns the spec, meaningless where there are errors, and all faults at once
 */
export function validate(
  layers: readonly Layer[],
  merged: Tree,
  catalog: Catalog,
  context: ValidateContext,
): { spec: VmSpec; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const report: Findings['report'] = (diagnostic) => diagnostics.push({ severity: 'error', ...diagnostic });
  for (const layer of layers) checkKeys(layer, catalog, report);

  const bare = findingsIn({}, report, context);
  const name = textOf(merged, 'name', bare) ?? context.stem;
  if (!isVmName(name))
    report({
      code: 'name-refused',
      message: `the VM's name is ${showValue(name)}; up to 64 letters, digits and . _ - are wanted, a letter or digit first`,
      origin: leafOf(merged, 'name')?.origin ?? { file: context.file, line: 1, column: 1 },
      help: 'set `name:` to something shorter or plainer',
    });
  const uuidLeaf = leafOf(merged, 'uuid');
  const uuid = (uuidLeaf && bare.check(uuidLeaf, { type: 'uuid' }, 'uuid')) ?? stableUuid(`ezvm:${name}`);
  const scope: Scope = {
    ...variablesOf(merged, report),
    'vm.name': { value: name },
    'vm.uuid': { value: String(uuid) },
  };
  const findings = findingsIn(scope, report, context);

  const description = textOf(merged, 'description', findings);
  const run = groupOf(merged, 'run', keysOf('run'), report);
  const minimum = groupOf(merged, 'minimum', keysOf('minimum'), report);
  checkDefaults(merged, catalog, report);
  const devices = new DeviceValidator(merged, catalog, findings).devices();
  const spec: VmSpec = {
    name,
    uuid: String(uuid),
    ...(description !== undefined && { description }),
    file: context.file,
    devices,
    qemu: readOverrides(merged, findings),
    stopTimeout: numberIn(run, 'run', 'stop-timeout', { type: 'int', min: 1, max: 86400 }, findings) ?? 90,
    minimum: {
      label: textOf(merged, 'template', findings) ?? 'other',
      ...optional('memory', numberIn(minimum, 'minimum', 'memory', { type: 'size' }, findings)),
      ...optional('cores', numberIn(minimum, 'minimum', 'cores', { type: 'int', min: 1 }, findings)),
    },
  };
  return { spec, diagnostics };
}

function optional<K extends string>(key: K, value: number | undefined): { [key in K]?: number } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: number };
}

/** A file in which nothing is known is no VM file; suggestions for all of it would only take time. */
const MAX_UNKNOWN = 100;

function checkKeys(layer: Layer, catalog: Catalog, report: Findings['report']): void {
  const known = [...sectionNames(catalog), ...topKeys(layer.isTemplate)];
  const keys = Object.entries(KEYS).map(([name, { also }]): Elsewhere => ({ name, also }));
  const elsewhere: Elsewhere[] = [...catalog.sections, ...keys];
  const unknown = layer.doc.root.entries.filter(({ key }) => !known.includes(key));
  for (const { key, at, node } of unknown.slice(0, MAX_UNKNOWN)) {
    const meant = elsewhere.find(({ also }) => also?.includes(key));
    // What stands there may be called otherwise as well: `bios: seabios`.
    const slip = node.kind === 'scalar' && meant?.slips && slipIn(meant.slips, String(node.value));
    report({
      code: 'key-unknown',
      message: `there is no section ${showValue(key)}`,
      origin: originOf(layer.doc, at),
      help: slip || (suggestion(meant?.name ?? key, known) ?? `known are ${known.join(' ')}`),
    });
  }
}

/** Something that is called otherwise elsewhere. */
interface Elsewhere {
  readonly name: string;
  readonly also?: readonly string[] | undefined;
  readonly slips?: Slips;
}

function sectionNames(catalog: Catalog): string[] {
  return catalog.sections.filter((section) => !section.internal).map((section) => section.name);
}

/** `defaults:` holds parameters by section, for every device of it; and as a map under a type, for those of that type. */
function checkDefaults(merged: Tree, catalog: Catalog, report: Findings['report']): void {
  const sections = groupOf(merged, 'defaults', sectionNames(catalog), report) ?? {};
  for (const section of catalog.sections) {
    const paramsOf = (type: string): string[] => Object.keys(catalog.device(section, type)?.params ?? {});
    const types = catalog.types(section);
    const given = sections[section.name];
    const ofTypes = given === undefined || given instanceof Leaf ? {} : given;
    const maps = types.filter((type) => ofTypes[type] !== undefined && !(ofTypes[type] instanceof Leaf));
    groupOf(sections, section.name, [...maps, ...new Set(types.flatMap(paramsOf))], report, 'defaults.');
    for (const type of maps) groupOf(ofTypes, type, paramsOf(type), report, `defaults.${section.name}.`);
  }
}

/** The map under `key` whose own keys are all `known`; undefined when it is not there or no map. */
function groupOf(
  tree: Tree,
  key: string,
  known: readonly string[],
  report: Findings['report'],
  prefix = '',
): Tree | undefined {
  const group = tree[key];
  if (group === undefined || isUnset(group)) return undefined;
  if (group instanceof Leaf) {
    const help = `it takes ${known.join(', ')}`;
    report({ code: 'value-wrong', message: `${prefix}${key} is no map`, origin: group.origin, help });
    return undefined;
  }
  for (const [name, value] of Object.entries(group))
    if (!known.includes(name))
      report({
        code: 'key-unknown',
        message: `${prefix}${key} has no key ${showValue(name)}`,
        origin: keyPlaceOf(value),
        help: suggestion(name, known) ?? `known are ${known.join(' ')}`,
      });
  return group;
}

function findingsIn(scope: Scope, report: Findings['report'], context: ValidateContext): Findings {
  const fill: Findings['fill'] = (leaf, label) => {
    let sound = true;
    const node = interpolate(leaf.node, scope, (scalar, message, help) => {
      sound = false;
      report({
        code: 'reference-unknown',
        message: `${label}: ${message}`,
        help,
        origin: originOf(leaf.layer.doc, scalar.at),
      });
    });
    return sound ? node : undefined;
  };
  const check: Findings['check'] = (leaf, spec, label) => {
    const node = fill(leaf, label);
    if (!node) return undefined;
    const paths: ParamContext = { resolvePath: (path) => context.resolvePath(leaf.layer.dir, path) };
    const checked = checkParam(spec, node, paths);
    if ('value' in checked) return checked.value;
    for (const { at, message, help } of checked.faults)
      report({ code: 'value-wrong', message: `${label} is ${message}`, help, origin: originOf(leaf.layer.doc, at) });
    return undefined;
  };
  return { report, fill, check };
}

function variablesOf(merged: Tree, report: Findings['report']): Scope {
  const vars = merged['vars'];
  if (vars === undefined || isUnset(vars)) return {};
  if (vars instanceof Leaf) {
    report({ code: 'value-wrong', message: 'vars is no map; `name: value` lines are wanted', origin: vars.origin });
    return {};
  }
  const scope: Record<string, Scope[string]> = {};
  const wrong = (name: string, message: string, value: Leaf | Tree, help?: string): void =>
    report({ code: 'value-wrong', message: `vars.${name} ${message}`, origin: placeOf(value), help });
  for (const [name, leaf] of Object.entries(vars)) {
    if (isUnset(leaf)) continue;
    if (!(leaf instanceof Leaf) || leaf.node.kind !== 'scalar') wrong(name, 'is no single value', leaf);
    else if (!/^[A-Za-z][\w-]*$/.test(name))
      wrong(name, 'is no name for a variable', leaf, 'take letters, digits, _ and - only, a letter first');
    else if (String(leaf.node.value).includes('${'))
      wrong(
        name,
        'holds ${, but a variable cannot refer to another',
        leaf,
        'write the reference where this one is used',
      );
    else scope[`vars.${name}`] = { value: leaf.node.value, ...(leaf.node.source && { source: leaf.node.source }) };
  }
  return scope;
}

function leafOf(tree: Tree, key: string): Leaf | undefined {
  const value = tree[key];
  return value instanceof Leaf && !isUnset(value) ? value : undefined;
}

function textOf(merged: Tree, key: string, { check, report }: Findings): string | undefined {
  const value = merged[key];
  if (value !== undefined && !(value instanceof Leaf))
    report({ code: 'value-wrong', message: `${key} is a map; text is wanted`, origin: placeOf(value) });
  const leaf = leafOf(merged, key);
  return leaf && (check(leaf, { type: 'string' }, key) as string | undefined);
}

function numberIn(
  group: Tree | undefined,
  label: string,
  key: string,
  spec: ParamSpec,
  { check, report }: Findings,
): number | undefined {
  const value = group?.[key];
  if (value === undefined || isUnset(value)) return undefined;
  if (value instanceof Leaf) return check(value, spec, `${label}.${key}`) as number | undefined;
  report({
    code: 'value-wrong',
    message: `${label}.${key} is a map; a single value is wanted`,
    origin: placeOf(value),
  });
  return undefined;
}

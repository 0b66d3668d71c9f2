import type { Catalog } from '../catalog/catalog.ts';
import { checkParam, type ParamContext, showValue, suggestion } from '../catalog/params.ts';
import type { ParamSpec } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { stableUuid } from '../core/hash.ts';
import { originOf, type Scalar } from '../core/source.ts';
import { DeviceValidator } from './devices.ts';
import type { Findings } from './findings.ts';
import { interpolate, type Scope } from './interpolate.ts';
import { readOverrides } from './overrides.ts';
import type { VmSpec } from './spec.ts';
import { isUnset, type Layer, Leaf, placeOf, type Tree } from './tree.ts';

/** Keys beside the sections that a VM file, settings or `--set` may have. */
const COMMON_KEYS = ['template', 'profiles', 'name', 'uuid', 'description', 'vars', 'defaults', 'run', 'qemu'];
/** Keys that only OS templates and profiles have. */
const TEMPLATE_KEYS = ['base', 'summary', 'minimum'];

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

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

  const bare: Findings = { report, check: checker({}, report, context) };
  const name = textOf(merged, 'name', bare) ?? context.stem;
  if (!NAME.test(name))
    report({
      code: 'name-refused',
      message: `the VM's name is ${showValue(name)}; up to 64 letters, digits and . _ - are wanted, a letter or digit first`,
      origin: leafOf(merged, 'name')?.origin ?? { file: context.file, line: 1, column: 1 },
      help: 'set `name:` to something shorter or plainer',
    });
  const uuidLeaf = leafOf(merged, 'uuid');
  const uuid = (uuidLeaf && bare.check(uuidLeaf, { type: 'uuid' }, 'uuid')) ?? stableUuid(`ezvm:${name}`);
  const scope: Scope = { ...variablesOf(merged, report), 'vm.name': name, 'vm.uuid': String(uuid) };
  const findings: Findings = { report, check: checker(scope, report, context) };

  const description = textOf(merged, 'description', findings);
  const devices = new DeviceValidator(merged, catalog, findings).devices();
  const spec: VmSpec = {
    name,
    uuid: String(uuid),
    ...(description !== undefined && { description }),
    file: context.file,
    devices,
    qemu: readOverrides(merged, findings),
    stopTimeout: numberIn(merged, 'run', 'stop-timeout', { type: 'int', min: 1 }, findings) ?? 90,
    minimum: {
      label: textOf(merged, 'template', findings) ?? 'other',
      ...optional('memory', numberIn(merged, 'minimum', 'memory', { type: 'size' }, findings)),
      ...optional('cores', numberIn(merged, 'minimum', 'cores', { type: 'int', min: 1 }, findings)),
    },
  };
  return { spec, diagnostics };
}

function optional<K extends string>(key: K, value: number | undefined): { [key in K]?: number } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: number };
}

function checkKeys(layer: Layer, catalog: Catalog, report: Findings['report']): void {
  const isTemplate = /^(template|profile|defaults)\b/.test(layer.label);
  const sections = catalog.sections.filter((section) => !section.internal).map((section) => section.name);
  const known = [...sections, ...COMMON_KEYS, ...(isTemplate ? TEMPLATE_KEYS : [])];
  for (const { key, at } of layer.doc.root.entries) {
    if (known.includes(key)) continue;
    const help = suggestion(key, known) ?? `known are ${known.join(' ')}`;
    report({
      code: 'key-unknown',
      message: `there is no section ${showValue(key)}`,
      origin: originOf(layer.doc, at),
      help,
    });
  }
}

function checker(scope: Scope, report: Findings['report'], context: ValidateContext): Findings['check'] {
  return (leaf, spec, label) => {
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
    if (!sound) return undefined;
    const paths: ParamContext = { resolvePath: (path) => context.resolvePath(leaf.layer.dir, path) };
    const checked = checkParam(spec, node, paths);
    if ('value' in checked) return checked.value;
    for (const { at, message, help } of checked.faults)
      report({ code: 'value-wrong', message: `${label} is ${message}`, help, origin: originOf(leaf.layer.doc, at) });
    return undefined;
  };
}

function variablesOf(merged: Tree, report: Findings['report']): Scope {
  const vars = merged['vars'];
  if (vars === undefined || isUnset(vars)) return {};
  if (vars instanceof Leaf) {
    report({ code: 'value-wrong', message: 'vars is no map; `name: value` lines are wanted', origin: vars.origin });
    return {};
  }
  const scope: Record<string, Scalar> = {};
  for (const [name, leaf] of Object.entries(vars)) {
    if (!(leaf instanceof Leaf) || leaf.node.kind !== 'scalar')
      report({ code: 'value-wrong', message: `vars.${name} is no single value`, origin: placeOf(leaf) });
    else if (!/^[A-Za-z][\w-]*$/.test(name))
      report({
        code: 'value-wrong',
        message: `vars.${name}: a variable's name has letters, digits, _ and - only`,
        origin: leaf.origin,
      });
    else scope[`vars.${name}`] = leaf.node.value;
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
  merged: Tree,
  group: string,
  key: string,
  spec: ParamSpec,
  { check, report }: Findings,
): number | undefined {
  const tree = merged[group];
  if (tree === undefined || isUnset(tree)) return undefined;
  if (tree instanceof Leaf) {
    report({ code: 'value-wrong', message: `${group} is no map`, origin: tree.origin });
    return undefined;
  }
  const leaf = leafOf(tree, key);
  return leaf && (check(leaf, spec, `${group}.${key}`) as number | undefined);
}

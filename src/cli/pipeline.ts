import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { Catalog } from '../catalog/catalog.ts';
import type { TemplateSource } from '../catalog/template.ts';
import { type Diagnostic, EXIT, EzvmError } from '../core/diagnostic.ts';
import { findDirs } from '../host/dirs.ts';
import type { HostFacts } from '../host/facts.ts';
import { locate } from '../input/locate.ts';
import { exists, readText } from '../input/read.ts';
import { readSettings, type Settings } from '../input/settings.ts';
import { builtTemplates, stackTemplates } from '../input/templates.ts';
import { collectLayers, type OuterLayer } from '../model/layers.ts';
import { merge } from '../model/merge.ts';
import type { VmSpec } from '../model/spec.ts';
import { type Layer, type Tree, toTree } from '../model/tree.ts';
import { validate } from '../model/validate.ts';
import { assemble } from '../plan/assemble.ts';
import type { Plan } from '../plan/plan.ts';
import { RESOLVERS } from '../plan/resolvers/index.ts';
import type { CliContext } from './context.ts';
import { parseKept } from './parsed.ts';
import type { Flags } from './verb.ts';

/** Facts with QEMU's whole schema take about a megabyte. */
const MAX_FACTS = 16 * 1024 * 1024;

/** A VM after validation, with everything that went into it. */
export interface Model {
  readonly layers: readonly Layer[];
  readonly merged: Tree;
  readonly spec: VmSpec;
  readonly catalog: Catalog;
  readonly settings: readonly Settings[];
}

/** A VM planned for a host. */
export interface Planned extends Model {
  readonly plan: Plan;
  readonly facts: HostFacts;
}

/**
 * The pipeline up to `validate`: locate, read, parse, layer, merge, validate.
 * @param ref a file or a VM's name
 * @throws EzvmError with every fault of the configuration
 */
export async function loadModel(ref: string, flags: Flags, context: CliContext): Promise<Model> {
  const euid = process.geteuid?.() ?? 0;
  const home = context.env['HOME'] ?? homedir();
  const dirs = findDirs(context.env, { uid: euid, home });
  const vm = locate(ref, context.cwd, dirs.config);
  const diagnostics: Diagnostic[] = [];
  const parse = parseKept(dirs.cache, context.build, diagnostics);
  const doc = await parse(readText(vm.absolute, vm.shown), vm.shown);
  const settings = await findSettings(['/etc/ezvm', dirs.config], euid);
  const own: OuterLayer[] = [{ label: 'VM file', dir: dirname(vm.absolute), doc }];
  const sets = (flags['set'] ?? []) as readonly string[];
  if (sets.length > 0) {
    const { parseSetting } = await import('./settings-flag.ts');
    own.push(...sets.map((text) => ({ label: '--set', dir: context.cwd, doc: parseSetting(text) })));
  }
  const catalog = new Catalog(
    await findTemplates(context.dist, ['/etc/ezvm/templates', ...(euid === 0 ? [] : [`${dirs.config}/templates`])]),
  );
  const outer = settings.map((each) => ({ label: 'settings', dir: each.dir, doc: each.vm }));
  const collected = collectLayers(catalog, outer, own);
  const merged = merge(collected.layers.map((layer) => toTree(layer, catalog.sections)));
  const validated = validate(collected.layers, merged, catalog, {
    file: vm.absolute,
    stem: vm.stem,
    resolvePath: (dir, path) => resolve(dir || context.cwd, path.replace(/^~(?=\/|$)/, home)),
  });
  diagnostics.push(...collected.diagnostics, ...validated.diagnostics);
  refuse(diagnostics, EXIT.config);
  return { layers: collected.layers, merged, spec: validated.spec, catalog, settings };
}

/**
 * The whole pipeline up to `plan`.
 * @throws EzvmError with every fault of the configuration; what the host lacks is in the plan's requirements
 */
export async function makePlan(ref: string, flags: Flags, context: CliContext): Promise<Planned> {
  const model = await loadModel(ref, flags, context);
  const { facts, diagnostics } = await findFacts(pathsOf(model.spec), model.settings, flags, context);
  const assembled = assemble(model.spec, model.catalog, facts);
  refuse(assembled.diagnostics, EXIT.config);
  const plan = { ...assembled.plan, notes: [...diagnostics, ...assembled.plan.notes] };
  return { ...model, plan, facts };
}

/** Facts about this host, or those that `--host` names. */
export async function findFacts(
  paths: readonly string[],
  settings: readonly Settings[],
  flags: Flags,
  context: CliContext,
): Promise<{ facts: HostFacts; diagnostics: readonly Diagnostic[] }> {
  const file = flags['host'];
  if (typeof file === 'string') {
    const { parseFacts } = await import('../host/facts-file.ts');
    return { facts: parseFacts(readText(resolve(context.cwd, file), file, MAX_FACTS), file), diagnostics: [] };
  }
  const { probeHost } = await import('../host/probe.ts');
  const strongest = settings.at(-1);
  return probeHost({
    paths,
    env: context.env,
    settings: {
      programs: Object.assign({}, ...settings.map(({ programs }) => programs)) as Record<string, string>,
      ...(strongest?.qemu !== undefined && { qemu: strongest.qemu }),
      ...(strongest?.firmwareDirs && { firmwareDirs: strongest.firmwareDirs }),
    },
  });
}

/** Throws when there is an error among the diagnostics. */
export function refuse(diagnostics: readonly Diagnostic[], exit: number): void {
  if (diagnostics.some(({ severity }) => severity === 'error')) throw new EzvmError(diagnostics, exit);
}

/** Host paths that a VM names and a plan may want to know about. */
function pathsOf(spec: VmSpec): string[] {
  return spec.devices.flatMap((device) =>
    Object.entries(device.params).flatMap(([name, { value }]) =>
      device.template.params[name]?.expect !== undefined && typeof value === 'string' ? [value] : [],
    ),
  );
}

async function findSettings(dirs: readonly string[], euid: number): Promise<Settings[]> {
  const found: Settings[] = [];
  for (const dir of dirs) {
    if (!exists(`${dir}/ezvm.yaml`)) continue;
    const { parseSound } = await import('./parsed.ts');
    const parse = await parseSound();
    const settings = await readSettings(dir, euid, parse);
    if (settings) found.push(settings);
  }
  return found;
}

async function findTemplates(dist: string, dirs: readonly string[]): Promise<TemplateSource> {
  const sources: TemplateSource[] = [builtTemplates(`${dist}/templates.json`)];
  for (const dir of dirs) if (exists(dir)) sources.unshift(await ownTemplates(dir, sources));
  return sources.length === 1 && sources[0] ? sources[0] : stackTemplates(sources);
}

/** Templates of the user's own, judged as strictly as the package's, which they may build on. */
async function ownTemplates(dir: string, below: readonly TemplateSource[]): Promise<TemplateSource> {
  const [{ parseSound }, { directoryTemplates }, { lintTemplates }] = await Promise.all([
    import('./parsed.ts'),
    import('../input/templates.ts'),
    import('../catalog/lint.ts'),
  ]);
  const source = directoryTemplates(dir, dir, await parseSound());
  const scope = { all: stackTemplates([source, ...below]), resolvers: Object.keys(RESOLVERS) };
  refuse(lintTemplates(source, scope), EXIT.config);
  return source;
}

import { dirname, resolve } from 'node:path';
import { Catalog } from '../catalog/catalog.ts';
import { isLinkKind } from '../catalog/params.ts';
import type { ParamSpec, TemplateSource } from '../catalog/template.ts';
import { type Diagnostic, EXIT, EzvmError } from '../core/diagnostic.ts';
import { isEzkvm, translateEzkvm } from '../formats/ezkvm.ts';
import type { HostFacts, Questions } from '../host/facts.ts';
import { readSettings, type Settings, type SettingsFile } from '../input/settings.ts';
import { builtTemplates, stackTemplates } from '../input/templates.ts';
import { refuseUntrustedTree } from '../input/trust.ts';
import { layerVm } from '../model/layered-vm.ts';
import type { OuterLayer } from '../model/layers.ts';
import { parse } from '../model/parse.ts';
import type { VmSpec } from '../model/spec.ts';
import type { Tree } from '../model/tree.ts';
import { assemble } from '../plan/assemble.ts';
import type { Plan } from '../plan/plan.ts';
import { RESOLVERS } from '../plan/resolvers/index.ts';
import type { CliContext } from './context.ts';
import { type Inputs, readInputs } from './inputs.ts';
import type { Flags } from './verb.ts';

/** A VM after validation, with everything that went into it. */
export interface Model {
  readonly merged: Tree;
  readonly spec: VmSpec;
  readonly catalog: Catalog;
  readonly settings: readonly Settings[];
  /** What is worth knowing about the file, though it has no faults. */
  readonly notes: readonly Diagnostic[];
}

/**
 * The pipeline up to `validate`: locate, read, parse, layer, merge, validate.
 * @param ref a file or a VM's name
 * @throws EzvmError with every fault of the configuration
 */
export async function loadModel(ref: string, flags: Flags, context: CliContext): Promise<Model> {
  return makeModel(readInputs(ref, flags, context), context);
}

/** A VM file, or one of ezkvm's as a VM file; those may have anchors and aliases. */
function readVm(text: string, file: string): ReturnType<typeof parse> {
  const strict = parse(text, file);
  if (!isEzkvm(strict.doc)) return strict;
  const parsed = strict.diagnostics.length === 0 ? strict : parse(text, file, 'taken');
  return parsed.diagnostics.length === 0 ? translateEzkvm(parsed.doc) : parsed;
}

/** The same from inputs that were read before. */
export async function makeModel(inputs: Inputs, context: CliContext): Promise<Model> {
  const { vm, text, sets, cwd, home } = inputs;
  const { doc, diagnostics } = readVm(text, vm.shown);
  const settings = await readAllSettings(inputs.settings);
  const own: OuterLayer[] = [{ dir: dirname(vm.absolute), doc }];
  if (sets.length > 0) {
    const { parseSetting } = await import('./settings-flag.ts');
    own.push(...sets.map((setting) => ({ dir: cwd, doc: parseSetting(setting) })));
  }
  const catalog = new Catalog(await findTemplates(context.dist, inputs.templates));
  const outer = settings.map((each) => ({ dir: each.dir, doc: each.vm }));
  const layered = layerVm(catalog, outer, own, {
    file: vm.absolute,
    stem: vm.stem,
    resolvePath: (dir, path) => resolve(dir || cwd, path.replace(/^~(?=\/|$)/, home)),
  });
  // Where a line could not be read, what it seems to say is no use to anybody.
  const unread = new Set(diagnostics.flatMap(({ code, origin }) => (code === 'yaml-syntax' ? [origin?.line] : [])));
  const isRead = ({ origin }: Diagnostic): boolean => origin?.file !== doc.file || !unread.has(origin.line);
  diagnostics.push(...layered.diagnostics.filter(isRead));
  refuse(diagnostics);
  return { merged: layered.merged, spec: layered.spec, catalog, settings, notes: diagnostics };
}

/**
 * Plans a model for the host of `facts`.
 * @throws EzvmError with the faults of the configuration that show only here
 */
export function planModel(model: Model, facts: HostFacts): Plan {
  const { plan, diagnostics } = assemble(model.spec, model.catalog, facts);
  refuse(diagnostics);
  return { ...plan, notes: [...model.notes, ...plan.notes] };
}

/** What a plan of this VM may want to know about the host. */
export function questionsOf(spec: VmSpec): Questions {
  const named = (is: (param: ParamSpec) => boolean): string[] =>
    spec.devices.flatMap(({ params, template }) =>
      Object.entries(template.params).flatMap(([name, param]) => {
        const value = params[name]?.value;
        return is(param) && typeof value === 'string' ? [value] : [];
      }),
    );
  const started = spec.devices.flatMap(({ template }) =>
    template.sidecars.flatMap(({ programs }) => programs.map(({ argv: [program] }) => program)),
  );
  const handed = spec.devices.some(({ params, template }) =>
    Object.entries(template.params).some(([name, { of }]) => of === 'pci' && (params[name]?.value ?? null) !== null),
  );
  const arch = spec.devices.find(({ section }) => section === 'machine')?.template.board?.arch;
  return {
    ...(arch !== undefined && { arch }),
    ...(handed && { pci: true }),
    paths: named(({ type }) => type === 'path'),
    interfaces: [...new Set(named(({ expect }) => expect !== undefined && isLinkKind(expect)))],
    programs: [...new Set(started.filter((program) => typeof program === 'string'))],
  };
}

/** Throws when there is an error among the diagnostics. */
function refuse(diagnostics: readonly Diagnostic[]): void {
  if (diagnostics.some(({ severity }) => severity === 'error')) throw new EzvmError(diagnostics, EXIT.config);
}

async function readAllSettings(files: readonly SettingsFile[]): Promise<Settings[]> {
  if (files.length === 0) return [];
  const { parseSound } = await import('./parse-sound.ts');
  const read = await Promise.all(files.map((file) => readSettings(file, parseSound)));
  return read.filter((settings) => settings !== undefined);
}

/** The templates at hand: the package's, and those in `dirs` over them. */
export async function findTemplates(dist: string, dirs: readonly string[]): Promise<TemplateSource> {
  const sources: TemplateSource[] = [builtTemplates(`${dist}/templates.json`)];
  for (const dir of dirs) sources.unshift(await ownTemplates(dir, sources));
  return sources.length === 1 && sources[0] ? sources[0] : stackTemplates(sources);
}

/** Templates of the user's own, judged as strictly as the package's, which they may build on. */
async function ownTemplates(dir: string, below: readonly TemplateSource[]): Promise<TemplateSource> {
  const [{ parseSound }, { directoryTemplates }, { lintTemplates }] = await Promise.all([
    import('./parse-sound.ts'),
    import('../input/templates.ts'),
    import('../catalog/lint.ts'),
  ]);
  refuseUntrustedTree(dir, process.geteuid?.() ?? 0);
  const source = directoryTemplates(dir, dir, parseSound);
  const scope = { all: stackTemplates([source, ...below]), resolvers: Object.keys(RESOLVERS) };
  refuse(lintTemplates(source, scope));
  return source;
}

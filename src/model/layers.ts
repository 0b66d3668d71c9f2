import type { Catalog } from '../catalog/catalog.ts';
import { isTemplateName } from '../catalog/catalog.ts';
import { showValue, suggestion } from '../catalog/params.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import { entryOf, originOf, type SourceDoc, type SourceNode } from '../core/source.ts';
import type { Layer } from './tree.ts';

/** A layer that stands outside the templates: settings, the VM file, `--set`. */
export interface OuterLayer {
  readonly dir: string;
  readonly doc: SourceDoc;
}

interface NameRef {
  readonly name: string;
  readonly origin: Origin | undefined;
}

/**
 * All layers of a VM, weakest first: defaults, settings, the OS template and what it is based on, profiles, the VM file
 * and `--set`. A missing or looping template is a fault; the layers that were found are still returned.
 */
export function collectLayers(
  catalog: Catalog,
  settings: readonly OuterLayer[],
  own: readonly OuterLayer[],
): { layers: Layer[]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const inner: Omit<Layer, 'rank'>[] = [];
  const defaults = catalog.defaults();
  if (defaults) inner.push({ isTemplate: true, dir: '', doc: defaults });
  inner.push(...settings.map(asLayer));

  // The choice itself may come from any layer outside the templates; the strongest wins.
  const choosers = [...own].reverse().concat([...settings].reverse());
  const template = firstNames(choosers, 'template', diagnostics)?.[0] ?? { name: 'other', origin: undefined };
  const profiles = firstNames(choosers, 'profiles', diagnostics) ?? [];
  const visit = (folder: 'os' | 'profiles', ref: NameRef, chain: readonly string[]): void => {
    const doc = findLayer(catalog, folder, ref, chain, diagnostics);
    // Two profiles may share a base, which need not be laid twice.
    if (!doc || inner.some((layer) => layer.doc.file === doc.file)) return;
    for (const base of namesOf(doc, 'base', diagnostics) ?? []) visit(folder, base, [...chain, ref.name]);
    inner.push({ isTemplate: true, dir: directoryOf(doc.file), doc });
  };
  if (template.name !== 'none') visit('os', template, []);
  for (const profile of profiles) visit('profiles', profile, []);
  return { layers: [...inner, ...own.map(asLayer)].map((layer, rank) => ({ ...layer, rank })), diagnostics };
}

function asLayer(outer: OuterLayer): Omit<Layer, 'rank'> {
  return { ...outer, isTemplate: false };
}

function findLayer(
  catalog: Catalog,
  folder: 'os' | 'profiles',
  ref: NameRef,
  chain: readonly string[],
  diagnostics: Diagnostic[],
): SourceDoc | undefined {
  const noun = folder === 'os' ? 'template' : 'profile';
  if (chain.includes(ref.name)) {
    const loop = [...chain.slice(chain.indexOf(ref.name)), ref.name].join(' → ');
    diagnostics.push({
      severity: 'error',
      code: 'template-loop',
      message: `${noun}s are based on one another: ${loop}`,
      origin: ref.origin,
      help: 'remove one of the `base:` lines',
    });
    return undefined;
  }
  const doc = catalog.layer(folder, ref.name);
  if (!doc) {
    const names = catalog.layers(folder);
    const tried =
      isTemplateName(ref.name) && ref.name.length <= 64
        ? `; ${folder}/${ref.name}.yaml is in none of the template folders`
        : '';
    diagnostics.push({
      severity: 'error',
      code: `${noun}-unknown`,
      message: `there is no ${noun} ${showValue(ref.name)}${tried}`,
      origin: ref.origin,
      help:
        suggestion(names.find((name) => isAlso(catalog, folder, name, ref.name)) ?? ref.name, names) ??
        (names.length > 0 ? `there are ${names.join(', ')}` : undefined),
    });
  }
  return doc;
}

/** Whether a template says of itself that people call it so. */
function isAlso(catalog: Catalog, folder: 'os' | 'profiles', name: string, word: string): boolean {
  const doc = catalog.layer(folder, name);
  return doc !== undefined && (namesOf(doc, 'also', []) ?? []).some((one) => one.name === word);
}

function firstNames(layers: readonly OuterLayer[], key: string, diagnostics: Diagnostic[]): NameRef[] | undefined {
  for (const { doc } of layers) {
    const names = namesOf(doc, key, diagnostics);
    if (names) return names;
  }
  return undefined;
}

/** A name or a list of names under `key`; undefined when the key is not there. */
function namesOf(doc: SourceDoc, key: string, diagnostics: Diagnostic[]): NameRef[] | undefined {
  const node = entryOf(doc.root, key)?.node;
  if (!node || (node.kind === 'scalar' && node.value === null)) return undefined;
  const nodes: readonly SourceNode[] = node.kind === 'list' ? node.items : [node];
  return nodes.flatMap((item) => {
    const origin = originOf(doc, item.at);
    if (item.kind === 'scalar' && item.value !== null) return [{ name: item.source ?? String(item.value), origin }];
    diagnostics.push({
      severity: 'error',
      code: 'value-wrong',
      message: `${key} is a ${item.kind}; a name is wanted`,
      origin,
    });
    return [];
  });
}

function directoryOf(file: string): string {
  return file.slice(0, Math.max(0, file.lastIndexOf('/')));
}

import type { Catalog } from '../catalog/catalog.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import { collectLayers, type OuterLayer } from './layers.ts';
import { merge } from './merge.ts';
import type { VmSpec } from './spec.ts';
import { type Layer, type Tree, toTree } from './tree.ts';
import { type ValidateContext, validate } from './validate.ts';

/** A VM file with all that it is laid over. */
export interface LayeredVm {
  /** Weakest first. */
  readonly layers: readonly Layer[];
  readonly merged: Tree;
  /** Meaningless where there are errors. */
  readonly spec: VmSpec;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * The stages layer, merge and validate.
 * @param own the VM file, and what is said beside it, weakest first
 */
export function layerVm(
  catalog: Catalog,
  settings: readonly OuterLayer[],
  own: readonly OuterLayer[],
  context: ValidateContext,
): LayeredVm {
  const { layers, diagnostics } = collectLayers(catalog, settings, own);
  const merged = merge(layers.map((layer) => toTree(layer, catalog.sections)));
  const validated = validate(layers, merged, catalog, context);
  return { layers, merged, spec: validated.spec, diagnostics: [...diagnostics, ...validated.diagnostics] };
}

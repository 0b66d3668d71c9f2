import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Catalog } from '../src/catalog/catalog.ts';
import type { Diagnostic } from '../src/core/diagnostic.ts';
import type { SourceDoc } from '../src/core/source.ts';
import type { HostFacts } from '../src/host/facts.ts';
import { type LayeredVm, layerVm } from '../src/model/layered-vm.ts';
import { parse } from '../src/model/parse.ts';
import type { VmSpec } from '../src/model/spec.ts';
import { assemble } from '../src/plan/assemble.ts';
import type { Plan } from '../src/plan/plan.ts';
import { CHECKOUT } from './checkout.ts';

/** The facts of a host that is described under test/hosts. */
export function hostFacts(name: string): HostFacts {
  return JSON.parse(readFileSync(join(CHECKOUT, 'test', 'hosts', `${name}.json`), 'utf8')) as HostFacts;
}

/** A VM file's text as a spec, by the stages up to `validate`. */
export function specOf(text: string, catalog: Catalog): { spec: VmSpec; diagnostics: Diagnostic[] } {
  const { doc, diagnostics } = parse(text, 'vm.yaml');
  const layered = specOfDoc(doc, catalog);
  return { spec: layered.spec, diagnostics: [...diagnostics, ...layered.diagnostics] };
}

/** The same for a file that was parsed otherwise, as those of ezkvm are. */
export function specOfDoc(doc: SourceDoc, catalog: Catalog): Pick<LayeredVm, 'spec' | 'diagnostics'> {
  return layerVm(catalog, [], [{ dir: '/vm', doc }], {
    file: `/vm/${doc.file}`,
    stem: doc.file.replace('.yaml', ''),
    resolvePath: (dir, path) => resolve(dir, path),
  });
}

/** A VM file's text as a plan; throws where it has faults. */
export function planOf(text: string, catalog: Catalog, facts: HostFacts): Plan {
  const { spec, diagnostics } = specOf(text, catalog);
  const assembled = diagnostics.length === 0 ? assemble(spec, catalog, facts) : undefined;
  const faults = [...diagnostics, ...(assembled?.diagnostics ?? [])];
  if (!assembled || faults.length > 0) throw new Error(`${faults.map(({ message }) => message).join('\n')}\n\n${text}`);
  return assembled.plan;
}

import type { ParamValue } from '../catalog/params.ts';
import type { ParamSpec } from '../catalog/template.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { SourceNode } from '../core/source.ts';
import type { Leaf } from './tree.ts';

/** What validation builds as it goes along; shared by its parts. */
export interface Findings {
  readonly report: (diagnostic: Omit<Diagnostic, 'severity'>) => void;
  /** The value of a leaf with its references replaced; reports those that name nothing and returns undefined. */
  readonly fill: (leaf: Leaf, label: string) => SourceNode | undefined;
  /** Checks the value of a leaf; reports its faults and returns undefined when there are any. */
  readonly check: (leaf: Leaf, spec: ParamSpec, label: string) => ParamValue | undefined;
}

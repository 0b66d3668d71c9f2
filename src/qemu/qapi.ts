import type { QemuVersion } from './option.ts';

/**
 * What QEMU says about its own syntax, kept apart from the host's facts because of its size (hundreds of kilobytes).
 * Read only by verbs that check.
 */
export interface QemuSchema {
  readonly version: QemuVersion;
  /** The answer of `query-qmp-schema`. */
  readonly qapi: readonly QapiEntity[];
  /** Every QOM type name that can be given to `-device`. */
  readonly devices: readonly string[];
  /** Properties by QOM type name: property name to type as QEMU prints it. Types that were not asked about are absent. */
  readonly properties: { readonly [type: string]: { readonly [property: string]: string } };
  /** `query-command-line-options`: option name to its parameters. */
  readonly options: { readonly [option: string]: readonly string[] };
}

/** One entity of `query-qmp-schema`; see QEMU's docs/devel/qapi-code-gen. */
export interface QapiEntity {
  readonly name: string;
  readonly 'meta-type': 'builtin' | 'enum' | 'array' | 'object' | 'alternate' | 'command' | 'event';
  readonly 'json-type'?: string;
  readonly values?: readonly string[];
  readonly 'element-type'?: string;
  readonly members?: readonly QapiMember[];
  readonly tag?: string;
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
  readonly 'arg-type'?: string;
  readonly 'ret-type'?: string;
}

/** A member of an object, an alternate (no name) or an enumeration (no type). `default` marks an optional one. */
export interface QapiMember {
  readonly name?: string;
  readonly type?: string;
  readonly default?: null;
}

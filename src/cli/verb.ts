import type { CliContext } from './context.ts';

/** What was given for each flag, by its name without the dashes. */
export type Flags = { readonly [name: string]: string | boolean | readonly (string | boolean)[] | undefined };

/** One verb of the command line: its flags, its help, and what it does. */
export interface Verb {
  /** After `ezvm`, such as `args FILE|NAME`. */
  readonly usage: string;
  readonly summary: string;
  readonly example: string;
  readonly flags: { readonly [name: string]: FlagSpec };
  /** How many words it takes besides flags. */
  readonly words: readonly [least: number, most: number];
  /** Everything after the words belongs to another program's syntax and is not looked at for flags. */
  readonly raw?: boolean;
  /** It is about VMs that run: root does it as the person whose they are: see runAsOwner. */
  readonly forOwner?: boolean;
  readonly run: (words: readonly string[], flags: Flags, context: CliContext) => Promise<number>;
}

/** A flag as `node:util`'s parseArgs takes it, with what its help says. */
export interface FlagSpec {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  readonly short?: string;
  /** What stands for its value in the help. */
  readonly value?: string;
  readonly help: string;
}

/** Flags of every verb that plans. */
export const PLAN_FLAGS = {
  set: {
    type: 'string',
    multiple: true,
    value: 'KEY=VALUE',
    help: 'change one value, as in --set cpu.cores=8; may be repeated',
  },
  host: { type: 'string', value: 'FACTS.json', help: 'plan for the host that `ezvm facts` described' },
} as const satisfies Verb['flags'];

/** The flag of every verb that reads. */
export const JSON_FLAG = { json: { type: 'boolean', help: 'print JSON' } } as const satisfies Verb['flags'];

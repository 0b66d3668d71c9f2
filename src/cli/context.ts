import type { Diagnostic } from '../core/diagnostic.ts';

/** The variable set for an ezvm whose output another, root's, writes to a terminal. */
export const SHOWN = 'EZVM_SHOWN';

/** Shows how a long piece of work gets on, where somebody looks. */
export function progressOf({ interactive, err }: CliContext): { readonly onProgress?: (text: string) => void } {
  return interactive ? { onProgress: (text) => err(`${text}\n`) } : {};
}

/** What a verb may use of the process it runs in. */
export interface CliContext {
  /** Where the package lies, with `templates/` in it. */
  readonly root: string;
  /** Where the built files lie. */
  readonly dist: string;
  readonly version: string;
  /** Differs between any two builds of different source; caches carry it. */
  readonly build: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data, for pipes. */
  readonly out: (text: string) => void;
  /** Talk, for people. */
  readonly err: (text: string) => void;
  /** Whether `err` is a terminal that shows colour. */
  readonly colour: boolean;
  readonly interactive: boolean;
  /** Prints diagnostics to `err`, with code frames. */
  readonly report: (diagnostics: readonly Diagnostic[]) => void;
}

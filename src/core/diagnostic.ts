import type { Origin } from './origin.ts';

/** An `error` stops what is being done; a `note` wants nothing mended. */
export type Severity = 'error' | 'warning' | 'note';

/** One thing to tell the user, with the place that caused it and how to mend it. */
export interface Diagnostic {
  readonly severity: Severity;
  /** A stable kebab-case word, such as `key-unknown`. */
  readonly code: string;
  readonly message: string;
  readonly origin?: Origin | undefined;
  readonly help?: string | undefined;
}

/** Takes what there is to tell. */
export type Report = (diagnostic: Diagnostic) => void;

/** Exit codes of every verb; `ezvm --help` lists them. */
export const EXIT = { ok: 0, config: 1, usage: 2, host: 3, state: 4, bug: 70 } as const;

/** An expected failure: it has something to say to the user and needs no stack trace. */
export class EzvmError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  readonly exit: number;

  constructor(diagnostics: readonly Diagnostic[], exit: number) {
    super(diagnostics.map((diagnostic) => diagnostic.message).join('\n'));
    this.name = 'EzvmError';
    this.diagnostics = diagnostics;
    this.exit = exit;
  }
}

/** Shorthand for the common case of one fault. */
export function fault(
  exit: number,
  code: string,
  message: string,
  more: { help?: string | undefined; origin?: Origin | undefined } = {},
): EzvmError {
  return new EzvmError([{ severity: 'error', code, message, ...more }], exit);
}

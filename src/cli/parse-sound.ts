import { EXIT, EzvmError } from '../core/diagnostic.ts';
import type { SourceDoc } from '../core/source.ts';
import { parse } from '../model/parse.ts';

/** Parses a file whose faults stop everything: settings and templates. Throws an EzvmError with all of them. */
export function parseSound(text: string, file: string): SourceDoc {
  const { doc, diagnostics } = parse(text, file);
  if (diagnostics.length > 0) throw new EzvmError(diagnostics, EXIT.config);
  return doc;
}

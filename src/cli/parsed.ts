import { type Diagnostic, EXIT, EzvmError } from '../core/diagnostic.ts';
import { stableHash } from '../core/hash.ts';
import type { SourceDoc } from '../core/source.ts';
import { readCache, writeCache } from '../host/cache.ts';

/**
 * A parser that keeps what it made of each file, because loading the YAML library takes longer than all the rest.
 * What is kept is used only for the very same text. Faults go to `diagnostics` and are never kept.
 */
export function parseKept(
  cacheDir: string,
  build: string,
  diagnostics: Diagnostic[],
): (text: string, file: string) => Promise<SourceDoc> {
  return async (text, file) => {
    const kept = `${cacheDir}/parsed-${stableHash(file)
      .map((byte) => byte.toString(16))
      .join('')}.json`;
    const key = `${build}\n${file}\n${text}`;
    const before = readCache(kept, key) as SourceDoc | undefined;
    if (before) return before;
    const { parse } = await import('../model/parse.ts');
    const parsed = parse(text, file);
    diagnostics.push(...parsed.diagnostics);
    if (parsed.diagnostics.length === 0) writeCache(cacheDir, kept, key, parsed.doc);
    return parsed.doc;
  };
}

/** A parser that throws an EzvmError for a file with faults. */
export async function parseSound(): Promise<(text: string, file: string) => SourceDoc> {
  const { parse } = await import('../model/parse.ts');
  return (text, file) => {
    const { doc, diagnostics } = parse(text, file);
    if (diagnostics.length > 0) throw new EzvmError(diagnostics, EXIT.config);
    return doc;
  };
}

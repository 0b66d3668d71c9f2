import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TemplateSource } from '../src/catalog/template.ts';
import { directoryTemplates } from '../src/input/templates.ts';
import { parse } from '../src/model/parse.ts';

/** The project's own folder. */
export const CHECKOUT = join(import.meta.dirname, '..');

/** The templates as they lie in the folder, whatever was built last. */
export function folderTemplates(): TemplateSource {
  return directoryTemplates(join(CHECKOUT, 'templates'), 'templates', (text, file) => {
    const { doc, diagnostics } = parse(text, file);
    if (diagnostics.length > 0) throw new Error(`${file}: ${diagnostics[0]?.message}`);
    return doc;
  });
}

/** Names of the YAML files in a folder of the checkout, without their ending, sorted. */
export function yamlNames(folder: string): string[] {
  return readdirSync(join(CHECKOUT, folder))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .toSorted();
}

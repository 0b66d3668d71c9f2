import { readdirSync, readFileSync } from 'node:fs';
import type { DeviceTemplate, TemplateSource } from '../catalog/template.ts';
import type { SourceDoc } from '../core/source.ts';
import { readText } from './read.ts';

/** Reads a template's text; throws for one with faults. */
export type ParseTemplate = (text: string, file: string) => SourceDoc;

/**
 * The package's own templates, parsed when it was built: a line with the place of each, then one JSON text after the
 * other, so that only those in use are decoded. Device templates are there a second time, as `readDevice` gives them.
 */
export function builtTemplates(file: string): TemplateSource {
  const text = readFileSync(file, 'latin1');
  const start = text.indexOf('\n') + 1;
  const index = JSON.parse(text.slice(0, start)) as { readonly [path: string]: readonly [from: number, to: number] };
  const decode = (path: string): unknown => {
    const place = Object.hasOwn(index, path) ? index[path] : undefined;
    return place && JSON.parse(text.slice(start + place[0], start + place[1]));
  };
  return {
    read: (path) => decode(path) as SourceDoc | undefined,
    device: (path) => decode(`${path}#device`) as DeviceTemplate | undefined,
    list: (folder) => namesIn(filesOf(index), folder),
    folders: () => foldersOf(filesOf(index)),
  };
}

/** The templates of a directory laid out like the package's own; read at once, because such folders are small. */
export function directoryTemplates(root: string, shownAs: string, parse: ParseTemplate): TemplateSource {
  const docs = new Map(
    templateFiles(root).map((path) => [
      path,
      parse(readText(`${root}/${path}`, `${shownAs}/${path}`), `${shownAs}/${path}`),
    ]),
  );
  return {
    read: (path) => docs.get(path),
    list: (folder) => namesIn([...docs.keys()], folder),
    folders: () => foldersOf([...docs.keys()]),
  };
}

/** Sources one over another; the first that has a file wins. */
export function stackTemplates(sources: readonly TemplateSource[]): TemplateSource {
  return {
    read: (path) => {
      for (const source of sources) {
        const doc = source.read(path);
        if (doc) return doc;
      }
      return undefined;
    },
    device: (path) => {
      const owner = sources.find((source) => source.device?.(path) ?? source.read(path));
      return owner?.device?.(path);
    },
    list: (folder) => [...new Set(sources.flatMap((source) => source.list(folder)))].toSorted(),
    folders: () => [...new Set(sources.flatMap((source) => source.folders()))].toSorted(),
  };
}

/** Paths of the YAML files below `root`, links not followed, sorted. */
export function templateFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml'))
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length + 1))
    .toSorted();
}

function namesIn(paths: readonly string[], folder: string): string[] {
  const prefix = `${folder}/`;
  return paths
    .filter((path) => path.startsWith(prefix) && path.endsWith('.yaml') && !path.slice(prefix.length).includes('/'))
    .map((path) => path.slice(prefix.length, -'.yaml'.length))
    .toSorted();
}

function filesOf(index: object): string[] {
  return Object.keys(index).filter((name) => name.endsWith('.yaml'));
}

function foldersOf(paths: readonly string[]): string[] {
  return [...new Set(paths.map((path) => path.slice(0, Math.max(0, path.lastIndexOf('/')))))]
    .filter((folder) => folder !== '')
    .toSorted();
}

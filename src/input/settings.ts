import { EXIT, fault } from '../core/diagnostic.ts';
import { entryOf, type MapNode, type SourceDoc, toPlain } from '../core/source.ts';
import { look, readText } from './read.ts';
import { refuseUntrusted } from './trust.ts';

/** What `ezvm.yaml` in a settings directory says about the host, and the layer it lays under every VM. */
export interface Settings {
  readonly file: string;
  readonly dir: string;
  readonly vm: SourceDoc;
  /** Absolute paths of programs that are not where they are looked for. */
  readonly programs: { readonly [name: string]: string };
  readonly qemu?: string;
  readonly firmwareDirs?: readonly string[];
}

const NAME = 'ezvm.yaml';

/** A settings file before it is understood. */
export interface SettingsFile {
  readonly dir: string;
  readonly file: string;
  readonly text: string;
}

/**
 * The settings file in `dir`, if there is one that this user may trust: a file or directory that someone else could have
 * written is refused, because settings name programs to run.
 * @throws EzvmError
 */
export function findSettings(dir: string, euid: number): SettingsFile | undefined {
  const file = `${dir}/${NAME}`;
  const stat = look(file);
  if (stat === undefined) return undefined;
  if (typeof stat === 'string') throw fault(EXIT.config, 'file-unreadable', `${file} cannot be looked at: ${stat}`);
  if (!stat.isFile()) throw fault(EXIT.config, 'file-wrong', `${file} is no ordinary file`);
  refuseUntrusted(dir, euid);
  refuseUntrusted(file, euid);
  return { dir, file, text: readText(file, file) };
}

/**
 * Reads a settings file.
 * @param parse keeps positions, and throws an EzvmError for a file with faults
 */
export async function readSettings(
  { dir, file }: SettingsFile,
  parse: (text: string, file: string) => SourceDoc,
): Promise<Settings | undefined> {
  const doc = await loadWithCosmiconfig(dir, parse);
  if (!doc) return undefined;
  const { vm, ...host } = toPlain(doc.root) as { vm?: unknown } & Record<string, unknown>;
  const { checkHostSettings } = await import('./settings-schema.ts');
  const layer = entryOf(doc.root, 'vm')?.node;
  if (vm !== undefined && vm !== null && layer?.kind !== 'map')
    throw fault(EXIT.config, 'value-wrong', 'vm is no map; it takes what a VM file takes', {
      origin: { file, line: layer?.at[0] ?? 1, column: layer?.at[1] ?? 1 },
    });
  const empty: MapNode = { kind: 'map', at: [1, 1], entries: [] };
  return { file, dir, vm: { file, root: layer?.kind === 'map' ? layer : empty }, ...checkHostSettings(host, doc) };
}

/**
 * cosmiconfig reads a configuration of its own from the working directory when it is made, and may run JavaScript found
 * there; so it is made in the settings directory, which is ours, with every loader that runs code taken away.
 */
async function loadWithCosmiconfig(
  dir: string,
  parse: (text: string, file: string) => SourceDoc,
): Promise<SourceDoc | undefined> {
  const { cosmiconfigSync } = await import('cosmiconfig');
  const before = process.cwd();
  const refuse = (file: string): never => {
    throw fault(EXIT.config, 'settings-code', `${file}: settings are YAML; code is never run`);
  };
  process.chdir('/');
  try {
    const explorer = cosmiconfigSync('ezvm', {
      searchPlaces: [NAME],
      searchStrategy: 'none',
      cache: false,
      loaders: {
        '.js': refuse,
        '.cjs': refuse,
        '.mjs': refuse,
        '.ts': refuse,
        '.json': refuse,
        noExt: refuse,
        '.yaml': (file: string, text: string) => parse(text, file),
      },
    });
    return explorer.search(dir)?.config as SourceDoc | undefined;
  } finally {
    process.chdir(before);
  }
}

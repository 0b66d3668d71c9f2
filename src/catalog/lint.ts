import type { Diagnostic } from '../core/diagnostic.ts';
import { entryOf, type MapNode, originOf, type SourceDoc, toPlain } from '../core/source.ts';
import { partPath } from './catalog.ts';
import { lintDevice, lintShape } from './lint-device.ts';
import type { Known } from './names.ts';
import { suggestion } from './params.ts';
import { SECTIONS } from './schema.ts';
import type { BoardSpec, TemplateSource } from './template.ts';

/** What a template may name beyond its own file. */
export interface LintScope {
  /** The templates that are checked and those they are laid over. */
  readonly all: TemplateSource;
  readonly resolvers: readonly string[];
}

/**
 * Checks every template of a source: its place and shape, that every reference names something, that tables and conditions
 * speak of values that exist, and that defaults are of their type.
 */
export function lintTemplates(source: TemplateSource, scope: LintScope): Diagnostic[] {
  const sections = source.read('sections.yaml');
  const wrong = sections ? lintShape(sections, SECTIONS) : [];
  if (wrong.length > 0) return wrong;
  const known: Known = {
    resolvers: scope.resolvers,
    sections: scope.all.read('sections.yaml')?.root.entries.map(({ key }) => key) ?? [],
    slots: slotsIn(scope.all),
    features: boardFeatures(scope.all),
    hasDevice: (name) => scope.all.read(`devices/${name}.yaml`) !== undefined,
    findPart: (name) => scope.all.read(partPath(name)),
  };
  return source
    .folders()
    .flatMap((folder) =>
      source.list(folder).flatMap((type) => lintFile(source.read(`${folder}/${type}.yaml`), folder, type, known)),
    );
}

function slotsIn(source: TemplateSource): string[] {
  return ['machines', 'parts'].flatMap((folder) =>
    source.list(folder).flatMap((type) => {
      const slots = entryOf(source.read(`${folder}/${type}.yaml`)?.root ?? NOTHING, 'slots')?.node;
      return slots?.kind === 'map' ? slots.entries.map(({ key }) => key) : [];
    }),
  );
}

/** Everything that some machine's board has, as templates name it. */
export function boardFeatures(source: TemplateSource): string[] {
  return source.list('machines').flatMap((type) => {
    const board = entryOf(source.read(`machines/${type}.yaml`)?.root ?? NOTHING, 'board')?.node;
    return board ? ((toPlain(board) as Partial<BoardSpec> | null)?.has ?? []) : [];
  });
}

const NOTHING: MapNode = { kind: 'map', at: [1, 1], entries: [] };

/** A template that lies where nothing looks for it would silently be none. */
function lintFile(doc: SourceDoc | undefined, folder: string, type: string, known: Known): Diagnostic[] {
  if (!doc || folder === 'os' || folder === 'profiles') return [];
  const section = /^devices\/([^/]+)$/.exec(folder)?.[1];
  const board = folder === 'machines' ? undefined : entryOf(doc.root, 'board');
  if (board)
    return [
      {
        severity: 'error',
        code: 'template-wrong',
        message: 'only a machine has a board',
        origin: originOf(doc, board.at),
        help: 'write it in each of the templates in machines/',
      },
    ];
  if (folder === 'machines' || folder === 'parts' || (section !== undefined && known.sections.includes(section)))
    return lintDevice(doc, type, known);
  return [
    {
      severity: 'error',
      code: 'template-wrong',
      message: section === undefined ? `nothing looks for templates in ${folder}` : `there is no section ${section}`,
      origin: originOf(doc, doc.root.at),
      help:
        (section === undefined ? undefined : suggestion(section, known.sections)) ??
        'templates lie in os, profiles, machines, parts and devices/<section>',
    },
  ];
}

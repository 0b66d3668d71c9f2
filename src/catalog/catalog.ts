import { entryOf, originOf, type SourceDoc, toPlain } from '../core/source.ts';
import type {
  DeviceTemplate,
  EmitEntry,
  LetTable,
  Needs,
  ProgramEntry,
  SectionSpec,
  SidecarEntry,
  TemplateSource,
  When,
} from './template.ts';

/** The templates at hand, read when asked for. Their shape is vouched for by `lint`. */
export class Catalog {
  readonly sections: readonly SectionSpec[];
  readonly #source: TemplateSource;
  readonly #devices = new Map<string, DeviceTemplate | undefined>();

  constructor(source: TemplateSource) {
    this.#source = source;
    const doc = source.read('sections.yaml');
    this.sections = doc ? readSections(doc) : [];
  }

  section(name: string): SectionSpec | undefined {
    return this.sections.find((section) => section.name === name);
  }

  /** The types a section offers, sorted. */
  types(section: SectionSpec): readonly string[] {
    return this.#source.list(section.folder);
  }

  device(section: SectionSpec, type: string): DeviceTemplate | undefined {
    const key = `${section.folder}/${type}`;
    if (!this.#devices.has(key)) {
      this.#devices.set(key, isTemplateName(type) ? this.#readDevice(`${key}.yaml`, type) : undefined);
    }
    return this.#devices.get(key);
  }

  #readDevice(path: string, type: string): DeviceTemplate | undefined {
    const ready = this.#source.device?.(path);
    if (ready) return ready;
    const doc = this.#source.read(path);
    return doc && readDevice(doc, type, (part) => this.#source.read(partPath(part)));
  }

  /** An OS template or a profile. */
  layer(folder: 'os' | 'profiles', name: string): SourceDoc | undefined {
    return isTemplateName(name) ? this.#source.read(`${folder}/${name}.yaml`) : undefined;
  }

  layers(folder: 'os' | 'profiles'): readonly string[] {
    return this.#source.list(folder);
  }

  /** The weakest layer of every VM. */
  defaults(): SourceDoc | undefined {
    return this.#source.read('defaults.yaml');
  }
}

/** Names are file names below `templates/`; anything that could lead elsewhere is no name. */
export function isTemplateName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]*$/i.test(name);
}

function readSections(doc: SourceDoc): SectionSpec[] {
  return doc.root.entries.map(({ key, node }) => {
    const spec = toPlain(node) as Omit<SectionSpec, 'name' | 'folder'> & { folder?: string };
    return { ...spec, name: key, folder: spec.folder ?? `devices/${key}` };
  });
}

/** Where a part lies that templates name with `include`. */
export function partPath(name: string): string {
  return `parts/${name}.yaml`;
}

/** What a part is read from. */
export type FindPart = (name: string) => SourceDoc | undefined;

/** Reads a device template whose shape is right, with the parts it includes; `lint` tells whether all is well with it. */
export function readDevice(doc: SourceDoc, type: string, findPart: FindPart): DeviceTemplate {
  return includedIn(doc)
    .flatMap((name) => findPart(name) ?? [])
    .map((part) => readDevice(part, type, findPart))
    .reduce(withPart, readOwn(doc, type));
}

/** The names of the parts that a template includes. */
export function includedIn(doc: SourceDoc): readonly string[] {
  const node = entryOf(doc.root, 'include')?.node;
  return node ? (toPlain(node) as string[]) : [];
}

/** What a template says itself stands before what a part says, and wins over it. */
function withPart(own: DeviceTemplate, part: DeviceTemplate): DeviceTemplate {
  return {
    ...part,
    ...own,
    params: { ...own.params, ...without(part.params, own.params) },
    paramOrigins: { ...part.paramOrigins, ...own.paramOrigins },
    lets: { ...without(part.lets, own.lets), ...own.lets },
    requires: [...own.requires, ...part.requires],
    refuse: [...own.refuse, ...part.refuse],
    useless: [...own.useless, ...part.useless],
    warn: [...own.warn, ...part.warn],
    paths: [...own.paths, ...part.paths],
    emit: [...own.emit, ...part.emit],
    sidecars: [...own.sidecars, ...part.sidecars],
    folders: [...own.folders, ...part.folders],
    guest: [...own.guest, ...part.guest],
    ...((own.needs ?? part.needs) && { needs: { ...part.needs, ...own.needs } }),
    ...((own.slots ?? part.slots) && { slots: { ...part.slots, ...own.slots } }),
    ...((own.buses ?? part.buses) && { buses: { ...part.buses, ...own.buses } }),
  };
}

function without<T>(map: { readonly [name: string]: T }, taken: object): { [name: string]: T } {
  return Object.fromEntries(Object.entries(map).filter(([name]) => !Object.hasOwn(taken, name)));
}

/** What a template's own file says, without its parts. */
export function readOwn(doc: SourceDoc, type: string): DeviceTemplate {
  const plain = toPlain(doc.root) as Record<string, unknown> & Partial<DeviceTemplate>;
  const params = entryOf(doc.root, 'params')?.node;
  const emit = entryOf(doc.root, 'emit')?.node;
  const lets = (plain['let'] ?? {}) as Record<string, LetTable['values'] & Pick<LetTable, 'by'>>;
  return {
    type,
    file: doc.file,
    summary: plain.summary ?? '',
    params: plain.params ?? {},
    paramOrigins:
      params?.kind === 'map' ? Object.fromEntries(params.entries.map(({ key, at }) => [key, originOf(doc, at)])) : {},
    lets: Object.fromEntries(
      Object.entries(lets).map(([name, { by, ...values }]) => [name, { by, values } satisfies LetTable]),
    ),
    requires: (plain.requires ?? []).map((entry) => (typeof entry === 'string' ? { device: entry } : entry)),
    refuse: plain.refuse ?? [],
    useless: plain.useless ?? [],
    warn: plain.warn ?? [],
    paths: plain.paths ?? [],
    emit:
      emit?.kind === 'list'
        ? emit.items.map((node) => readEmit(toPlain(node) as Record<string, unknown>, originOf(doc, node.at)))
        : [],
    sidecars: (plain.sidecars ?? []).map(readSidecar),
    folders: plain.folders ?? [],
    guest: plain.guest ?? [],
    ...(plain['shared-memory'] && { 'shared-memory': true }),
    ...(plain.slot !== undefined && { slot: plain.slot }),
    ...(plain.resolver !== undefined && { resolver: plain.resolver }),
    ...(plain.needs !== undefined && { needs: plain.needs }),
    ...(plain.board !== undefined && { board: plain.board }),
    ...(plain.slots !== undefined && { slots: plain.slots }),
    ...(plain.buses !== undefined && { buses: plain.buses }),
  };
}

/** One program may stand in the sidecar itself. */
function readSidecar(entry: SidecarEntry | (Omit<SidecarEntry, 'programs'> & ProgramEntry)): SidecarEntry {
  if ('programs' in entry) return entry;
  const { argv, package: pack, ...rest } = entry;
  return { ...rest, programs: [{ argv, ...(pack !== undefined && { package: pack }) }] };
}

function readEmit(entry: Record<string, unknown>, origin: EmitEntry['origin']): EmitEntry {
  const { when, needs, ...rest } = entry;
  const [option = '', args] = Object.entries(rest)[0] ?? [];
  return {
    option,
    args,
    origin,
    ...(when !== undefined && { when: when as When }),
    ...(needs !== undefined && { needs: needs as Needs }),
  };
}

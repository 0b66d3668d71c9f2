import { resolve } from 'node:path';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { TemplateSource } from '../../src/catalog/template.ts';
import { parseSetting } from '../../src/cli/settings-flag.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';
import { formatOrigin } from '../../src/core/origin.ts';
import { stackTemplates } from '../../src/input/templates.ts';
import { layerVm } from '../../src/model/layered-vm.ts';
import type { OuterLayer } from '../../src/model/layers.ts';
import { parse } from '../../src/model/parse.ts';
import type { SpecValue, VmSpec } from '../../src/model/spec.ts';
import type { Layer } from '../../src/model/tree.ts';
import { folderTemplates } from '../checkout.ts';

/** What makes a VM, each part as text. */
export interface Parts {
  readonly vm?: string;
  /** By path below `templates/`; they lie over the package's own. */
  readonly templates?: { readonly [path: string]: string };
  /** Weakest first. */
  readonly settings?: readonly string[];
  readonly sets?: readonly string[];
}

export interface Made {
  readonly spec: VmSpec;
  readonly layers: readonly Layer[];
  readonly diagnostics: readonly Diagnostic[];
  /** `file:line:column message` of each fault. */
  readonly faults: readonly string[];
  /** The value of `section.key` or `section.id.key`. */
  readonly value: (path: string) => SpecValue['value'] | undefined;
  readonly param: (path: string) => SpecValue | undefined;
}

const PACKAGE = folderTemplates();

/** The stages up to `validate`, on texts. */
export function makeVm({ vm = '', templates = {}, settings = [], sets = [] }: Parts): Made {
  const catalog = new Catalog(stackTemplates([textTemplates(templates), PACKAGE]));
  const { doc, diagnostics } = parse(vm, 'vm.yaml');
  const outer = settings.map(
    (text, index): OuterLayer => ({
      dir: `/settings${index}`,
      doc: parse(text, `settings${index}.yaml`).doc,
    }),
  );
  const own: OuterLayer[] = [
    { dir: '/vm', doc },
    ...sets.map((text): OuterLayer => ({ dir: '/cwd', doc: parseSetting(text) })),
  ];
  const layered = layerVm(catalog, outer, own, {
    file: '/vm/vm.yaml',
    stem: 'vm',
    resolvePath: (dir, path) => resolve(dir, path),
  });
  const all = [...diagnostics, ...layered.diagnostics];
  const param = (path: string): SpecValue | undefined => {
    const words = path.split('.');
    const key = words.pop() ?? '';
    const id = words.at(-1);
    return layered.spec.devices.find((device) => device.section === words[0] && device.id === id)?.params[key];
  };
  return {
    spec: layered.spec,
    layers: layered.layers,
    diagnostics: all,
    faults: all.map(({ origin, message }) => `${origin ? formatOrigin(origin) : '-'} ${message}`),
    param,
    value: (path) => param(path)?.value,
  };
}

/** Templates that are texts, by path below `templates/`. */
export function textTemplates(texts: { readonly [path: string]: string }): TemplateSource {
  const names = Object.keys(texts);
  return {
    read: (path) => {
      const text = texts[path];
      return text === undefined ? undefined : parse(text, `/own/${path}`).doc;
    },
    list: (folder) =>
      names
        .filter((name) => name.startsWith(`${folder}/`) && !name.slice(folder.length + 1).includes('/'))
        .map((name) => name.slice(folder.length + 1, -'.yaml'.length))
        .toSorted(),
    folders: () => [...new Set(names.map((name) => name.slice(0, name.lastIndexOf('/'))))].toSorted(),
  };
}

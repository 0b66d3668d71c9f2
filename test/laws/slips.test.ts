import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { exampleOf } from '../../src/catalog/example.ts';
import type { DeviceTemplate, SectionSpec } from '../../src/catalog/template.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';
import { wordsOf } from './words.ts';

const LAPTOP = hostFacts('laptop');

type Settings = Record<string, unknown>;

/** The first fault's help. */
function helpOf(file: Settings): string | undefined {
  return specOf(JSON.stringify(file), CATALOG).diagnostics[0]?.help;
}

function templatesOf(section: SectionSpec): readonly DeviceTemplate[] {
  const types = [section.default, ...CATALOG.types(section).filter((type) => type !== section.default)];
  return types.flatMap((type) => CATALOG.device(section, type) ?? []);
}

/** A device with all that its type cannot do without; `…` in `settings` stands for something that fits. */
function whole(template: DeviceTemplate, settings: Settings): Settings {
  const needed = Object.entries(template.params).flatMap(([name, spec]) =>
    (spec.required && settings[name] === undefined) || settings[name] === '…' ? [[name, exampleOf(spec)] as const] : [],
  );
  return { type: template.type, ...settings, ...Object.fromEntries(needed) };
}

function fileWith(section: SectionSpec, device: unknown): Settings {
  return { [section.name]: section.plural === undefined ? device : [device] };
}

/** Fills in a device that somebody wrote in a section of a file. */
function filled(section: SectionSpec, written: unknown): Settings {
  const items = Array.isArray(written) ? written : [written];
  const devices = items.map((item) => {
    const types = CATALOG.types(section);
    const settings: Settings =
      typeof item === 'object' ? item : types.includes(String(item)) ? { type: item } : { [section.short]: item };
    const type = String(settings['type'] ?? section.default);
    const template = CATALOG.device(section, type);
    if (!template) return item;
    return whole(template, settings);
  });
  return { [section.name]: section.plural === undefined ? devices[0] : devices };
}

/** Whether an advice is about all that a section says, as in "write `machine: virt`". */
function isWhole(advice: string): boolean {
  return CATALOG.sections.some(({ name }) => advice.includes(`\`${name}: `));
}

/** Every VM file that somebody could make of an advice about a section, or about a parameter of it. */
function followed(advice: string, section: SectionSpec, param?: string): Settings[] {
  const [, text = ''] = /write `([^`]+)`|is `([^`]+)`/.exec(advice.replace(/is `/, 'write `')) ?? [];
  // A type, or the name of a parameter.
  if (/^[a-z-]+$/.test(text)) {
    if (CATALOG.types(section).includes(text)) return [filled(section, { type: text })];
    return templatesOf(section).flatMap((template) => {
      const spec = template.params[text];
      return spec ? [fileWith(section, whole(template, { [text]: exampleOf(spec) }))] : [];
    });
  }
  const said = parse(text) as Settings;
  const [key = ''] = Object.keys(said);
  const target = CATALOG.sections.find(({ name }) => name === key);
  if (!text.startsWith('{') && key !== param && key !== 'type' && target) return [filled(target, said[key])];
  const types = templatesOf(section).filter((template) => said['type'] === undefined || template.type === said['type']);
  return types.flatMap((template) =>
    Object.keys(said).every((name) => name === 'type' || template.params[name] !== undefined)
      ? [fileWith(section, whole(template, said))]
      : [],
  );
}

/** What is wrong with all files that can be made of an advice; nothing where one of them says what can be said. */
function faultsOf(advice: string, section: SectionSpec, param?: string): string[] {
  const files = followed(advice, section, param);
  if (files.length === 0) return [`nothing follows from: ${advice}`];
  const faults = files.map((file) => {
    const text = JSON.stringify({ template: 'linux', ...file });
    const [fault] = specOf(text, CATALOG).diagnostics;
    // What one setting asks of others is told with these.
    if (fault || !isWhole(advice)) return fault?.message;
    try {
      planOf(text, CATALOG, LAPTOP);
      return undefined;
    } catch (error) {
      return String(error);
    }
  });
  return faults.includes(undefined) ? [] : [`${advice}: ${faults[0]}`];
}

describe('a word that people write by mistake', () => {
  const sections = CATALOG.sections.flatMap((section) =>
    Object.entries(section.slips ?? {}).flatMap(([pattern, advice]) =>
      wordsOf(pattern).map((word) => ({ section, word, advice: word.replace(new RegExp(`^(?:${pattern})$`), advice) })),
    ),
  );

  it.each(sections.map((slip) => ({ ...slip, name: slip.section.name })))(
    'in $name is told what leads to a VM: $word',
    ({ section, word, advice }) => {
      const asType = fileWith(section, { type: word });
      const asKeys = templatesOf(section).map((template) => fileWith(section, whole(template, { [word]: 'x' })));
      expect([asType, ...asKeys].map(helpOf)).toContain(advice);
      // What has no example in it is about what is known already.
      if (/^write|write `|is `[^`]*\[/.test(advice)) expect(faultsOf(advice, section)).toEqual([]);
    },
  );

  const params = CATALOG.sections.flatMap((section) =>
    templatesOf(section).flatMap((template) =>
      Object.entries(template.params).flatMap(([param, { slips = {} }]) =>
        Object.entries(slips).flatMap(([pattern, advice]) =>
          wordsOf(pattern).map((word) => ({
            section,
            template,
            param,
            word,
            advice: word.replace(new RegExp(`^(?:${pattern})$`), advice),
            name: `${section.name}/${template.type}.${param}`,
          })),
        ),
      ),
    ),
  );

  it.each(params)('as $name is told what leads to a VM: $word', ({ section, template, param, word, advice }) => {
    expect(helpOf(fileWith(section, whole(template, { [param]: word })))).toBe(advice);
    expect(faultsOf(advice, section, param)).toEqual([]);
  });

  it('is known for every parameter of few words that people know from elsewhere', () => {
    expect(params.length).toBeGreaterThan(300);
    expect(sections.length).toBeGreaterThan(200);
  });
});

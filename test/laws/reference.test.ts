import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sampleOf } from '../../src/catalog/reference.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CHECKOUT } from '../checkout.ts';
import { CATALOG, DEVICES } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');

/** A VM that says no more than this line, and what is wrong with it. */
function read(line: string): ReturnType<typeof specOf> {
  return specOf(`template: none\n${line}\n`, CATALOG);
}

describe.each(DEVICES.filter(({ section }) => !section.internal))('the reference on $name', ({ section, template }) => {
  it('shows how to ask for it', () => {
    const { spec, diagnostics } = read(sampleOf(section, template));
    expect(diagnostics).toEqual([]);
    expect(assemble(spec, CATALOG, LAPTOP).diagnostics).toEqual([]);
  });

  it('gives examples that are right', () => {
    const faults = Object.keys(template.params).flatMap((name) => {
      const line = sampleOf(section, template, [name]);
      return read(line).diagnostics.map(({ message }) => `${line}: ${message}`);
    });
    expect(faults).toEqual([]);
  });
});

describe('the language', () => {
  const text = readFileSync(join(CHECKOUT, 'docs', 'language.md'), 'utf8');
  const names = (part: string, word: string): boolean => new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(part);

  it.each(CATALOG.sections.filter(({ internal }) => !internal))('tells of $name and its types', (section) => {
    const row = text
      .split('\n')
      .find((line) => line.startsWith('| `') && names(line.split('|')[1] ?? '', section.name));
    const types = CATALOG.types(section);
    // The one type of a section is what it is.
    const untold = types.length === 1 ? [] : types.filter((type) => !names(row ?? '', type));
    expect([row === undefined, untold]).toEqual([false, []]);
  });

  it.each(['os', 'profiles'] as const)('tells of every template in %s', (folder) => {
    const list = /^OS templates:[\s\S]*?below which ezvm warns/m.exec(text)?.[0] ?? '';
    expect(CATALOG.layers(folder).filter((name) => !names(list, name))).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { sampleOf } from '../../src/catalog/reference.ts';
import { assemble } from '../../src/plan/assemble.ts';
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

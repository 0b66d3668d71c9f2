import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { askOptions } from '../../src/host/program-options.ts';
import { findVirtiofsd } from '../../src/host/virtiofsd.ts';
import { program, scratch } from './scratch.ts';

describe('virtiofsd', () => {
  it('is the first that a descriptor names and that can be run, later directories winning', () => {
    const dir = scratch();
    const [general, own] = [join(dir, 'general'), join(dir, 'own')];
    const write = (folder: string, name: string, content: unknown): void => {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    };
    const [first, second] = [program(dir, 'first'), program(dir, 'second')];
    write(general, '10-gpu.json', { type: 'gpu', binary: first });
    write(general, '20-broken.json', '{');
    write(general, '30-gone.json', { type: 'fs', binary: join(dir, 'none') });
    write(general, '50-virtiofsd.json', { type: 'fs', binary: first });
    expect(findVirtiofsd([general, own])).toBe(first);
    write(own, '50-virtiofsd.json', { type: 'fs', binary: second });
    expect(findVirtiofsd([general, own])).toBe(second);
    write(own, '50-virtiofsd.json', '');
    expect(findVirtiofsd([general, own])).toBeUndefined();
    expect(findVirtiofsd([join(dir, 'none')])).toBeUndefined();
  });

  it('is asked for its options', async () => {
    const path = program(
      scratch(),
      'virtiofsd',
      '#!/bin/sh\necho "  --shared-dir <D>  as --socket says, --readonly"\n',
    );
    expect(await askOptions(path)).toEqual({ path, options: ['--readonly', '--shared-dir', '--socket'] });
    const dumb = program(scratch(), 'virtiofsd', '#!/bin/sh\nexit 1\n');
    expect(await askOptions(dumb)).toMatchObject({ path: dumb, options: [], fault: expect.stringContaining(dumb) });
    const broken = program(scratch(), 'virtiofsd', '#!/bin/sh\necho "libcap.so is missing" >&2\nexit 127\n');
    expect(await askOptions(broken)).toEqual({ path: broken, options: [], fault: 'libcap.so is missing' });
  });
});

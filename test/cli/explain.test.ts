import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { Program } from '../program.ts';

const HOST = join(CHECKOUT, 'test', 'hosts', 'laptop.json');

let program: Program;
beforeAll(() => {
  program = new Program();
});
afterAll(() => program.remove());

async function explain(text: string, ...words: readonly string[]): Promise<string> {
  writeFileSync(join(program.dir, 'vm.yaml'), text);
  const { out, err } = await program.run('explain', '--host', HOST, 'vm.yaml', ...words);
  return (out + err).replaceAll(/ {2,}/g, '  ');
}

describe('explain', () => {
  it('shows sizes as people write them, and as bytes to programs', async () => {
    expect(await explain('template: debian\nmemory: 6144M\n', 'memory.size')).toBe(
      'memory.size = 6G  vm.yaml:2:9  (over templates/defaults.yaml:4:9)\n',
    );
    const json = JSON.parse(await explain('template: debian\nmemory: 6G\n', 'memory.size', '--json')) as object[];
    expect(json).toMatchObject([{ key: 'memory.size', value: 6442450944, unit: 'bytes' }]);
  });

  it('tells what took a section away, and what nobody asked for', async () => {
    expect(await explain('template: debian\ngpu: none\n', 'gpu')).toMatch(
      /^gpu = none {2}vm\.yaml:2:6 {2}\(over templates\/os\/linux\.yaml/,
    );
    expect(await explain('template: debian\nusb: off\n')).toContain('usb = none  vm.yaml:2:6\n');
    expect(await explain('template: debian\n', 'tpm')).toBe('tpm = none  nothing asks for one\n');
    expect(await explain('template: debian\n', 'tpn')).toContain('nothing is called tpn in this VM');
  });
});

describe('what is wrong with a value', () => {
  it('shows sizes as they were written', async () => {
    expect(await explain('memory: 64K\n')).toContain(
      'memory.size is 64K; a size such as 512M or 16G, at least 1M, is wanted',
    );
    expect(await explain('memory: 65536\n')).toContain('memory.size is 65536 bytes; a size such as');
  });

  it('tells a list that must not be empty', async () => {
    expect(await explain('gpu: { type: passthrough, pci: [] }\n')).toContain(
      'gpu.pci is empty; at least one is wanted',
    );
  });
});

import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT, yamlNames } from '../checkout.ts';
import { Built } from '../cli/built.ts';
import { Program } from '../program.ts';
import { hostIn } from './host.ts';

/** The examples, then the corners that no example has. */
const VMS = ['etc', 'test/golden/cases'].flatMap((folder) => yamlNames(folder).map((name) => ({ folder, name })));

/** The host that a case is planned for: the laptop, or the one that its first line names. */
function hostOf(folder: string, name: string): string {
  const text = readFileSync(join(CHECKOUT, folder, `${name}.yaml`), 'utf8');
  return join(CHECKOUT, 'test', 'hosts', `${hostIn(text)}.json`);
}

/** Stands in a golden where the VM files lie. */
const PLACE = '/home/alice/vms';

interface Sidecar {
  readonly name: string;
  readonly argv: readonly string[];
  readonly when: 'before' | 'after' | 'asked';
}

let program: Program;

beforeAll(() => {
  program = new Program();
  // Absolute paths must not depend on where the checkout lies, nor need quotes because of it.
  for (const { folder, name } of VMS) {
    mkdirSync(join(program.dir, folder), { recursive: true });
    copyFileSync(join(CHECKOUT, folder, `${name}.yaml`), join(program.dir, folder, `${name}.yaml`));
  }
});
afterAll(() => program.remove());

async function args(folder: string, name: string, ...flags: readonly string[]): Promise<string> {
  const { exit, out, err } = await program.run(
    'args',
    join(folder, `${name}.yaml`),
    '--host',
    hostOf(folder, name),
    ...flags,
  );
  expect(exit, err).toBe(0);
  return out;
}

/** The words that a real shell makes of a text. */
async function shellWords(text: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('sh', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' });
  return stdout.split('\0').slice(0, -1);
}

function placed(text: string): string {
  return text.replaceAll(join(program.dir, 'test/golden/cases'), PLACE).replaceAll(join(program.dir, 'etc'), PLACE);
}

describe.each(VMS)('$folder/$name', ({ folder, name }) => {
  it('has the command line that its golden shows', async () => {
    await expect(placed(await args(folder, name))).toMatchFileSnapshot(join('args', `${name}.txt`));
  });

  it('has the readable command line that its golden shows', async () => {
    await expect(placed(await args(folder, name, '--pretty'))).toMatchFileSnapshot(join('pretty', `${name}.txt`));
  });

  it('has the sidecars that its golden shows', async () => {
    const { sidecars } = JSON.parse(await args(folder, name, '--json')) as { sidecars: Sidecar[] };
    const text = sidecars.flatMap(({ name, argv, when }) => [
      `${name} (${when === 'asked' ? 'when asked' : `${when} QEMU`})`,
      ...argv.map((word) => `  ${word}`),
    ]);
    await expect(placed(`${text.join('\n') || 'none'}\n`)).toMatchFileSnapshot(join('sidecars', `${name}.txt`));
  });

  it('reads back in a shell as the very words', async () => {
    const { qemu } = JSON.parse(await args(folder, name, '--json')) as { qemu: string[] };
    expect(await shellWords(await args(folder, name))).toEqual(qemu);
  });

  it('has one option on a line', async () => {
    for (const flags of [[], ['--pretty']]) {
      const [, ...lines] = (await args(folder, name, ...flags)).split(' \\\n');
      // A line break inside of quotes belongs to a value.
      for (const line of lines) expect(line).toMatch(/^ {2}-[a-z][a-z_-]*( [^\n]|'[^']*'|\n|$)/);
    }
  });

  it('reads back in a shell, made readable, with as many words and the same plain options', async () => {
    const exact = await shellWords(await args(folder, name));
    const pretty = await shellWords(await args(folder, name, '--pretty'));
    expect(pretty.length).toBe(exact.length);
    for (const [index, word] of exact.entries()) if (!word.startsWith('{')) expect(pretty[index]).toBe(word);
  });
});

describe('the built program', () => {
  let built: Built;
  beforeAll(() => {
    built = new Built();
  });
  afterAll(() => built.remove());

  it.each(VMS)('prints the golden of $folder/$name', async ({ folder, name }) => {
    const { out, err } = built.run(['args', join(folder, `${name}.yaml`), '--host', hostOf(folder, name)], {
      cwd: program.dir,
    });
    expect(err).not.toContain('error');
    await expect(placed(out)).toMatchFileSnapshot(join('args', `${name}.txt`));
  });
});

it.each(['args', 'pretty', 'sidecars'])('keeps no golden in %s whose VM is gone', (kind) => {
  const known = VMS.map(({ name }) => `${name}.txt`);
  expect(readdirSync(join(import.meta.dirname, kind)).filter((file) => !known.includes(file))).toEqual([]);
});

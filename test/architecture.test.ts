import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Lowest first; a folder imports from lower ranks and from itself. */
const RANKS = [
  ['core'],
  ['qemu'],
  ['catalog', 'host'],
  ['input'],
  ['model'],
  ['plan'],
  ['formats', 'admin'],
  ['launch'],
  ['cli'],
  ['main.ts', 'start.ts'],
];
/** Folders that only compute. */
const PURE = ['core', 'qemu', 'catalog', 'model', 'plan', 'formats'];
/** Which folders may import which package of npm. */
const PACKAGES: Record<string, readonly string[]> = {
  yaml: ['model', 'cli'],
  'deepmerge-ts': ['model'],
  zod: ['catalog', 'input', 'host'],
  cosmiconfig: ['input'],
  execa: ['host', 'launch', 'cli'],
};
const IMPURE = /\b(?:process\.|Date\.now|new Date\(\)|Math\.random|performance\.)/;
const MAX_LINES = 400;

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

function importsOf(text: string): Import[] {
  const still = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm);
  const late = text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g);
  return [
    ...[...still].map((match) => ({ from: match[2] ?? '', typeOnly: match[1] !== undefined })),
    ...[...late].map((match) => ({ from: match[1] ?? '', typeOnly: false })),
  ];
}

/** Whatever in these files (paths relative to src, and their text) goes against the layout. */
function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const folder = path.split('/')[0] ?? '';
    const rank = RANKS.findIndex((names) => names.includes(folder));
    if (rank === -1) found.push(`${path} is in no folder that has a rank`);
    if (text.split('\n').length > MAX_LINES + 1) found.push(`${path} is longer than ${MAX_LINES} lines`);
    if (PURE.includes(folder)) {
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      const impure = IMPURE.exec(code)?.[0];
      if (impure) found.push(`${path} only computes, and uses ${impure}`);
    }
    for (const { from, typeOnly } of importsOf(text)) {
      if (from.startsWith('node:')) {
        if (PURE.includes(folder) && !typeOnly) found.push(`${path} only computes, and imports ${from}`);
      } else if (from.startsWith('.')) {
        const target = posix.join(posix.dirname(path), from).split('/')[0] ?? '';
        const targetRank = RANKS.findIndex((names) => names.includes(target));
        if (target !== folder && !(targetRank >= 0 && targetRank < rank)) found.push(`${path} may not import ${from}`);
        if (folder === 'plan' && target === 'host' && !typeOnly) found.push(`${path} may import only types of ${from}`);
      } else {
        const name = from.startsWith('@') ? from.split('/').slice(0, 2).join('/') : (from.split('/')[0] ?? '');
        if (!PACKAGES[name]?.includes(folder)) found.push(`${path} may not import the package ${name}`);
      }
    }
  }
  return found;
}

describe('the layout of src', () => {
  it('is kept by every file', () => {
    const src = join(import.meta.dirname, '..', 'src');
    const paths = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
    expect(paths.length).toBeGreaterThan(50);
    expect(violations(new Map(paths.map((path) => [path, readFileSync(join(src, path), 'utf8')])))).toEqual([]);
  });

  it.each([
    ['core/size.ts', "import { plan } from '../plan/assemble.ts';", 'may not import ../plan/assemble.ts'],
    ['formats/json.ts', "import type {\n  RunState,\n} from '../admin/state.ts';", 'may not import ../admin/state.ts'],
    ['host/kvm.ts', "const { read } = await import('../input/read.ts');", 'may not import ../input/read.ts'],
    ['admin/stop.ts', "export { start } from '../launch/start.ts';", 'may not import ../launch/start.ts'],
    ['plan/plan.ts', "import { probe } from '../host/probe.ts';", 'only types of ../host/probe.ts'],
    ['plan/resolvers/uefi.ts', "import { join } from 'node:path';", 'imports node:path'],
    ['model/merge.ts', 'export const made = Date.now();', 'uses Date.now'],
    ['plan/plan.ts', "import { z } from 'zod';", 'may not import the package zod'],
    ['cli/print.ts', "import '@scope/colours/red';", 'may not import the package @scope/colours'],
    ['odds/ends.ts', '', 'in no folder that has a rank'],
    ['cli/long.ts', '\n'.repeat(401), 'longer than 400 lines'],
  ])('is seen to be broken by %s', (path, text, complaint) => {
    expect(violations(new Map([[path, text]]))).toEqual([expect.stringContaining(complaint)]);
  });

  it('allows what is needed', () => {
    const good =
      "import type { Duplex } from 'node:stream';\nimport { hash } from '../core/hash.ts';\nimport './render.ts';";
    expect(violations(new Map([['qemu/qmp.ts', good]]))).toEqual([]);
  });
});

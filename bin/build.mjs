// Builds dist/: one program file, the templates parsed beforehand, and the code V8 makes of it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Every file below `dir`, sorted. */
function filesIn(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

// What is kept in caches must not outlive the code that made it.
const hash = createHash('sha256');
for (const file of [...filesIn(join(root, 'src')), ...filesIn(join(root, 'templates'))])
  hash.update(relative(root, file)).update(readFileSync(file));
const id = hash.digest('hex').slice(0, 12);

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

const common = {
  bundle: true,
  supported: { 'dynamic-import': false },
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  logLevel: 'warning',
  absWorkingDir: root,
};
await build({ ...common, entryPoints: ['src/start.ts'], outfile: 'dist/start.cjs', minify: true });

// Large libraries that few verbs need are files of their own, read when they are first asked for.
const lazy = ['cosmiconfig', 'yaml', 'zod'];
for (const name of lazy)
  await build({
    ...common,
    stdin: { contents: `export * from '${name}';`, resolveDir: root },
    outfile: `dist/${name}.cjs`,
    minify: true,
    legalComments: 'linked',
  });
await build({
  ...common,
  alias: Object.fromEntries(lazy.map((name) => [name, `./${name}.cjs`])),
  external: lazy.map((name) => `./${name}.cjs`),
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.cjs',
  minifySyntax: true,
  minifyWhitespace: true,
  // One byte a character: half to read, and latin1 is what start.ts reads.
  charset: 'ascii',
  define: { EZVM_VERSION: JSON.stringify(version), EZVM_BUILD: JSON.stringify(id) },
});

// The parser is part of the program, so it is built for this step alone.
const parser = join(dist, 'parse.mjs');
await build({
  ...common,
  format: 'esm',
  stdin: {
    contents: "export { parse } from './src/model/parse.ts'; export { readDevice } from './src/catalog/catalog.ts';",
    resolveDir: root,
    loader: 'ts',
  },
  outfile: parser,
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
});
const { parse, readDevice } = await import(parser);
// One file, an index first, so that a verb decodes only the templates it uses. ASCII only, for the same reason as above.
const index = {};
let body = '';
function add(name, value) {
  const text = JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  index[name] = [body.length, body.length + text.length];
  body += text;
}
for (const file of filesIn(join(root, 'templates')).filter((name) => name.endsWith('.yaml'))) {
  const path = relative(join(root, 'templates'), file).replaceAll('\\', '/');
  const { doc, diagnostics } = parse(readFileSync(file, 'utf8'), `templates/${path}`);
  if (diagnostics.length > 0) {
    for (const { message, origin } of diagnostics)
      process.stderr.write(`${origin.file}:${origin.line}:${origin.column}  ${message}\n`);
    process.exit(1);
  }
  add(path, doc);
  if (/^(devices|machines)\//.test(path)) add(`${path}#device`, readDevice(doc, basename(path, '.yaml')));
}
writeFileSync(join(dist, 'templates.json'), `${JSON.stringify(index)}\n${body}`);
rmSync(parser);

// The first run fills the caches; the second takes the short way that later runs take, and what it compiled is kept.
const scratch = mkdtempSync(join(tmpdir(), 'ezvm-build-'));
const env = { ...process.env };
for (const [variable, name] of Object.entries({
  XDG_CACHE_HOME: 'cache',
  XDG_CONFIG_HOME: 'config',
  XDG_RUNTIME_DIR: 'run',
  XDG_STATE_HOME: 'state',
}))
  env[variable] = join(scratch, name);
try {
  for (const act of ['fill', 'keep'])
    if (
      spawnSync(process.execPath, [join(root, 'bin', 'warm.mjs'), act], {
        env,
        stdio: ['ignore', 'inherit', 'inherit'],
      }).status !== 0
    )
      process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

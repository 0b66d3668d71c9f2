// Builds dist/: one program file, the templates parsed beforehand, and the code that V8 makes of it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const templates = join(root, 'templates');
// Built beside the old one and put in its place when it is whole: a program that runs meanwhile finds one or the other.
const dist = join(root, `dist-${process.pid}`);

/** Large libraries that few verbs need are files of their own, read when they are first asked for. */
const LAZY = ['cosmiconfig', 'execa', 'yaml', 'zod'];

const COMMON = {
  absWorkingDir: root,
  bundle: true,
  format: 'cjs',
  legalComments: 'linked',
  logLevel: 'warning',
  platform: 'node',
  // Code that is compiled from a kept cache cannot use import(); require() serves as well.
  supported: { 'dynamic-import': false },
  target: 'node20',
};

/** Told without a stack: the fault is in a template. */
class Refused extends Error {}

mkdirSync(dist);
try {
  await buildProgram();
  await buildTemplates();
  keepCompiledCode();
  replaceDist();
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(dist, { recursive: true, force: true });
}

async function buildProgram() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  await build({ ...COMMON, entryPoints: ['src/start.ts'], outfile: join(dist, 'start.cjs'), minify: true });
  for (const name of LAZY)
    await build({
      ...COMMON,
      stdin: { contents: `export * from '${name}';`, resolveDir: root },
      outfile: join(dist, `${name}.cjs`),
      minify: true,
    });
  await build({
    ...COMMON,
    // Wrapped here as Node wraps modules, so that start.ts need not copy the text to do it.
    banner: { js: '(function (exports, require, module) {' },
    footer: { js: '})' },
    alias: Object.fromEntries(LAZY.map((name) => [name, `./${name}.cjs`])),
    // One byte a character: half to read, and latin1 is what start.ts reads.
    charset: 'ascii',
    define: { EZVM_VERSION: JSON.stringify(version), EZVM_BUILD: JSON.stringify(buildId()) },
    entryPoints: ['src/main.ts'],
    external: LAZY.map((name) => `./${name}.cjs`),
    minifySyntax: true,
    minifyWhitespace: true,
    outfile: join(dist, 'main.cjs'),
  });
}

/** What is kept in caches must not outlive the code that made it. */
function buildId() {
  const hash = createHash('sha256');
  for (const file of [...filesIn(join(root, 'src')), ...filesIn(templates)])
    hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

/** One file, an index first, so that a verb decodes only the templates it uses; see src/input/templates.ts. */
async function buildTemplates() {
  const { directoryTemplates, lintTemplates, parse, partPath, readDevice, RESOLVERS } = await loadReaders();
  const docs = new Map();
  const index = {};
  let body = '';
  const add = (name, value) => {
    // ASCII only, because it is read as latin1.
    const text = JSON.stringify(value).replace(
      /[^\x20-\x7e]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    index[name] = [body.length, body.length + text.length];
    body += text;
  };
  for (const file of filesIn(templates).filter((name) => name.endsWith('.yaml'))) {
    const path = relative(templates, file);
    const { doc, diagnostics } = parse(readFileSync(file, 'utf8'), `templates/${path}`);
    refuse(diagnostics);
    docs.set(doc.file, doc);
    add(path, doc);
  }
  const all = directoryTemplates(templates, 'templates', (_, file) => docs.get(file));
  refuse(lintTemplates(all, { all, resolvers: Object.keys(RESOLVERS) }));
  const findPart = (name) => all.read(partPath(name));
  for (const { file } of docs.values()) {
    const path = relative('templates', file);
    if (/^(devices|machines)\//.test(path))
      add(`${path}#device`, readDevice(all.read(path), basename(path, '.yaml'), findPart));
  }
  writeFileSync(join(dist, 'templates.json'), `${JSON.stringify(index)}\n${body}`);
}

/** @throws Refused when a template has faults */
function refuse(diagnostics) {
  const faults = diagnostics.map(
    ({ message, origin: { file, line, column } }) => `${file}:${line}:${column}  ${message}`,
  );
  if (faults.length > 0) throw new Refused(faults.join('\n'));
}

/** The program's own readers, built for this step alone. */
async function loadReaders() {
  const outfile = join(dist, 'readers.mjs');
  await build({
    ...COMMON,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    format: 'esm',
    outfile,
    stdin: {
      contents: `
        export { partPath, readDevice } from './src/catalog/catalog.ts';
        export { lintTemplates } from './src/catalog/lint.ts';
        export { directoryTemplates } from './src/input/templates.ts';
        export { parse } from './src/model/parse.ts';
        export { RESOLVERS } from './src/plan/resolvers/index.ts';`,
      loader: 'ts',
      resolveDir: root,
    },
  });
  const readers = await import(outfile);
  rmSync(outfile);
  return readers;
}

/** The first run fills the caches; the second takes the short way that later runs take, and its code is kept. */
function keepCompiledCode() {
  const scratch = join(dist, 'scratch');
  const env = {
    ...process.env,
    XDG_CACHE_HOME: scratch,
    XDG_CONFIG_HOME: scratch,
    XDG_RUNTIME_DIR: scratch,
    XDG_STATE_HOME: scratch,
  };
  for (const act of ['fill', 'keep']) {
    const { status } = spawnSync(process.execPath, [join(root, 'bin', 'warm.mjs'), dist, act], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status !== 0) throw new Error('the program just built does not run');
  }
  rmSync(scratch, { recursive: true, force: true });
}

function replaceDist() {
  const target = join(root, 'dist');
  const old = `${dist}-old`;
  if (existsSync(target)) renameSync(target, old);
  renameSync(dist, target);
  rmSync(old, { recursive: true, force: true });
}

/** Every file below `dir`, sorted. */
function filesIn(dir) {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

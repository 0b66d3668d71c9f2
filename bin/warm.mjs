// Runs a typical verb; with `keep`, keeps the code that V8 compiled for it, so that later runs need not. See src/start.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const root = fileURLToPath(new URL('..', import.meta.url));
const [dist = '', act] = process.argv.slice(2);
const file = join(dist, 'main.cjs');
const script = new Script(readFileSync(file, 'latin1'), {
  filename: 'ezvm',
});
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(file), module);

const quiet = {
  root,
  dist,
  version: '0',
  build: 'warm',
  cwd: root,
  env: process.env,
  out: () => {},
  err: () => {},
  colour: false,
  interactive: false,
  report: () => {},
};
await module.exports.run(['args', 'etc/windows-11-gaming.yaml'], quiet);
if (act === 'keep')
  writeFileSync(join(dist, `main.${process.version}.${process.arch}.cache`), script.createCachedData());

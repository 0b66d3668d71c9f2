import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';

/**
 * Loads the program with the code that V8 compiled when the package was built. Compiling it again would take half of
 * the time a short verb needs; code made by another Node is refused by V8 and the source is compiled as usual.
 */
const file = join(__dirname, 'main.cjs');
const cachedData = readIfThere(join(__dirname, `main.${process.version}.${process.arch}.cache`));
const script = new Script(readFileSync(file, 'latin1'), { filename: 'ezvm', ...(cachedData && { cachedData }) });
const module_ = { exports: {} as { main?: (dist: string) => Promise<void> } };
(script.runInThisContext() as (...args: unknown[]) => void)(module_.exports, require, module_);
void module_.exports.main?.(__dirname);

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

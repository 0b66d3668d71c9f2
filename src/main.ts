import { fstatSync, readFileSync, statSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type CliContext, SHOWN } from './cli/context.ts';
import { printDiagnostics } from './cli/print/diagnostics.ts';
import { run } from './cli/run.ts';
import { type Diagnostic, EXIT, EzvmError, fault } from './core/diagnostic.ts';

/** Set when the package is built. */
declare const EZVM_VERSION: string;
/** Changes with the source, for caches. */
declare const EZVM_BUILD: string;

/** For the build, which runs a verb to have its code compiled. */
export { run } from './cli/run.ts';

/**
 * The program: runs the verb that the command line names, and turns errors into text and an exit code.
 * @param dist where the built files lie
 */
export async function main(dist: string): Promise<void> {
  const context = makeContext(dist);
  let exit: number;
  try {
    exit = await run(process.argv.slice(2), context);
  } catch (error) {
    exit = tellError(error, context);
  }
  // Whatever a verb left open must not keep the shell waiting.
  process.exit(exit);
}

function makeContext(dist: string): CliContext {
  const root = dirname(dist);
  const { env } = process;
  const cwd = workingDirectory();
  const interactive = isTerminal(2) || env[SHOWN] === '1';
  const colour = interactive && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const source = (file: string): string | undefined =>
    readSource(file.startsWith('templates/') ? `${root}/${file}` : resolve(cwd, file));
  const err = (text: string): void => write(2, text);
  return {
    root,
    dist,
    version: EZVM_VERSION,
    build: EZVM_BUILD,
    cwd,
    env,
    out: (text) => write(1, text),
    err,
    colour,
    interactive,
    report: (diagnostics: readonly Diagnostic[]) => err(printDiagnostics(diagnostics, { colour, source })),
  };
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    write(2, 'error: the working directory does not exist any more\n  help: cd to another\n');
    process.exit(EXIT.host);
  }
}

function tellError(error: unknown, context: CliContext): number {
  if (error instanceof EzvmError) {
    context.report(error.diagnostics);
    return error.exit;
  }
  context.err(
    `This is a bug in ezvm; please report it with what follows.\n${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return EXIT.bug;
}

/**
 * Writes all of `text`. Node's own streams take milliseconds to load; these are plain writes.
 * A reader that has gone away (`ezvm args … | head`) ends the program quietly.
 */
function write(file: 1 | 2, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  let done = 0;
  while (done < bytes.length)
    try {
      done += writeSync(file, bytes, done);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // Nobody is left to be told that the talk is not heard.
      if (file === 2 && code !== 'EAGAIN') return;
      if (code === 'EPIPE') process.exit(EXIT.ok);
      // A full pipe that someone else made non-blocking.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      else throw fault(EXIT.host, 'output-refused', `what was asked for cannot be written: ${messageOf(error)}`);
    }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The module that knows costs two milliseconds, so pipes, files and /dev/null are told apart without it. */
function isTerminal(file: number): boolean {
  try {
    const stat = fstatSync(file);
    if (!stat.isCharacterDevice() || stat.rdev === statSync('/dev/null').rdev) return false;
  } catch {
    return false;
  }
  return (require('node:tty') as typeof import('node:tty')).isatty(file);
}

function readSource(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

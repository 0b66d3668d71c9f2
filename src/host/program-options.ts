import type { ProgramFacts } from './facts.ts';

/** Milliseconds that a program may take to tell them. */
const PATIENCE = 5000;

/** Asks a program which options it knows, by its help. */
export async function askOptions(path: string): Promise<ProgramFacts> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) =>
    execFile(path, ['--help'], { timeout: PATIENCE }, (error, stdout, stderr) => {
      const options = [...new Set(`${stdout}${stderr}`.match(/(?<=\s)--[a-z][a-z-]+/g))].toSorted();
      const words = error?.killed ? `it did not answer within ${PATIENCE / 1000} s` : stderr.trim().split('\n').at(-1);
      const fault = options.length > 0 ? undefined : words || error?.message || 'it says nothing';
      resolve({ path, options, ...(fault !== undefined && { fault }) });
    }),
  );
}

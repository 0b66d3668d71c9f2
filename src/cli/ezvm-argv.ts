import { join } from 'node:path';
import type { CliContext } from './context.ts';

/** The words that run this very program once more. */
export function ezvmArgv(context: CliContext): readonly string[] {
  return [process.execPath, join(context.dist, 'start.cjs')];
}

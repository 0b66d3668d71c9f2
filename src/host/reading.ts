import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** The names in a directory; none where it is not there or cannot be read. */
export function namesIn(dir: string): readonly string[] {
  // Many are seldom there, and an exception costs more than reading them.
  if (!existsSync(dir)) return [];
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** What is in a text file; empty where it is not there or cannot be read. */
export function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

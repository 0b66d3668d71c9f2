import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../core/json.ts';
import type { ProgramFacts } from './facts.ts';
import { isExecutable } from './programs.ts';

/** From general to specific, like those of firmware: QEMU's docs/interop/vhost-user.json. */
const DESCRIPTOR_DIRS: readonly string[] = ['/usr/share/qemu/vhost-user', '/etc/qemu/vhost-user'];

/** The file server that QEMU's descriptors name first; undefined where they name none that can be run. Never throws. */
export function findVirtiofsd(dirs: readonly string[] = DESCRIPTOR_DIRS): string | undefined {
  const files = new Map<string, string>();
  for (const dir of dirs) for (const name of namesIn(dir)) if (name.endsWith('.json')) files.set(name, join(dir, name));
  const ordered = [...files].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return ordered.map(([, file]) => serverIn(file)).find((binary) => binary !== undefined);
}

function namesIn(dir: string): readonly string[] {
  try {
    return existsSync(dir) ? readdirSync(dir) : [];
  } catch {
    return [];
  }
}

/** An empty file hides its namesake in another directory. */
function serverIn(file: string): string | undefined {
  try {
    const root: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isRecord(root) || root['type'] !== 'fs' || typeof root['binary'] !== 'string') return undefined;
    return isExecutable(root['binary']) ? root['binary'] : undefined;
  } catch {
    return undefined;
  }
}

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

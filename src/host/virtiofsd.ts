import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../core/json.ts';
import { isExecutable } from './programs.ts';
import { namesIn } from './reading.ts';

/** From general to specific, like those of firmware: QEMU's docs/interop/vhost-user.json. */
const DESCRIPTOR_DIRS: readonly string[] = ['/usr/share/qemu/vhost-user', '/etc/qemu/vhost-user'];

/** The file server that QEMU's descriptors name first; undefined where they name none that can be run. Never throws. */
export function findVirtiofsd(dirs: readonly string[] = DESCRIPTOR_DIRS): string | undefined {
  const files = new Map<string, string>();
  for (const dir of dirs) for (const name of namesIn(dir)) if (name.endsWith('.json')) files.set(name, join(dir, name));
  const ordered = [...files].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return ordered.map(([, file]) => serverIn(file)).find((binary) => binary !== undefined);
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

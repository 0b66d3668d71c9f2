import * as z from 'zod';
import { listOf } from '../catalog/expected.ts';
import { SETTINGS } from '../catalog/keys.ts';
import { EXIT, EzvmError } from '../core/diagnostic.ts';
import { entryOf, originOf, type SourceDoc } from '../core/source.ts';

const error = 'an absolute path is wanted';
const path = z.string({ error }).startsWith('/', error);

const HOST_SETTINGS = z.strictObject({
  programs: z.record(z.string(), path, { error: 'a map of programs to absolute paths is wanted' }).default({}),
  qemu: path.optional(),
  'firmware-dirs': z.array(path, { error: 'a list of absolute paths is wanted' }).optional(),
});

/** Checks the part of the settings that is about the host. */
export function checkHostSettings(
  plain: unknown,
  doc: SourceDoc,
): { programs: { readonly [name: string]: string }; qemu?: string; firmwareDirs?: readonly string[] } {
  const result = HOST_SETTINGS.safeParse(plain);
  if (result.success) {
    const { programs, qemu, 'firmware-dirs': firmwareDirs } = result.data;
    return { programs, ...(qemu !== undefined && { qemu }), ...(firmwareDirs && { firmwareDirs }) };
  }
  throw new EzvmError(
    result.error.issues.map((issue) => {
      const key = issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.path[0];
      const entry = entryOf(doc.root, String(key));
      const inner = entry?.node.kind === 'map' ? entryOf(entry.node, String(issue.path[1])) : undefined;
      const at = inner?.node.at ?? entry?.at ?? doc.root.at;
      return {
        severity: 'error' as const,
        code: 'settings-wrong',
        message:
          issue.code === 'unrecognized_keys'
            ? `there is no setting ${issue.keys.join(', ')}`
            : `${issue.path.join('.')}: ${issue.message}`,
        help:
          issue.code === 'unrecognized_keys'
            ? `settings are ${listOf(Object.keys(SETTINGS))}`
            : `as in ${SETTINGS[String(key)]?.example}`,
        origin: originOf(doc, at),
      };
    }),
    EXIT.config,
  );
}

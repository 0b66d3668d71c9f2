import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const CASES = fileURLToPath(new URL('../../../shared/cases', import.meta.url));

export interface Recording {
  readonly name: string;
  readonly file: string;
  /** It has the properties of every device, not of thirty. */
  readonly complete: boolean;
}

/** Recorded QMP sessions beside the checkout; none where it stands alone. */
export const RECORDINGS: readonly Recording[] = ['qemu-recordings', 'qemu-capabilities'].flatMap((dir) =>
  existsSync(`${CASES}/${dir}`)
    ? readdirSync(`${CASES}/${dir}`)
        .filter((name) => name.endsWith('.replies'))
        .map((name) => ({
          name: basename(name, '.replies'),
          file: `${CASES}/${dir}/${name}`,
          complete: dir === 'qemu-recordings',
        }))
    : [],
);

/** Why a test that needs them is left out. */
export const NO_RECORDINGS = RECORDINGS.length === 0;

export function readRecording({ file }: Recording): string {
  return readFileSync(file, 'utf8');
}

/** The QEMU of this machine. */
export const QEMU = '/usr/bin/qemu-system-x86_64';
export const NO_QEMU = !existsSync(QEMU);

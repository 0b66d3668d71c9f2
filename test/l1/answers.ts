import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type Guest, writeGuestDisk } from '../guests/boot-sector.ts';
import { type Inside, runInside } from './inside.ts';

export interface Questions extends Omit<Inside, 'dir' | 'devices'> {
  /** What the script finds in its folder, and the script itself: `inside.sh`, each of whose answers is a line `word: text`. */
  readonly files: (dir: string) => { readonly 'inside.sh': string; readonly [name: string]: string };
  /** What boots from `disk.raw` in the VM that the script starts. */
  readonly guest?: Guest;
  /** Makes what else the script needs, and gives the words for QEMU. */
  readonly devices?: (dir: string) => readonly string[];
}

/** What a script said, known once the tests run. */
export interface Answers {
  /** All that was said, for a test that fails. */
  readonly console: string;
  /** The first answer of that name. */
  readonly line: (word: string) => string | undefined;
}

/** An IOMMU, which gives each port that devices are plugged into a group of its own. */
export const IOMMU = {
  devices: ['-device', 'intel-iommu,intremap=on,caching-mode=on'],
  // Emulated timers come late on a busy machine, and the kernel would give up on them.
  kernel: 'intel_iommu=on no_timer_check',
};

/** A disk controller that is handed on, behind a port of its own and so in a group of its own. */
export const NVME = {
  devices: ['-device', 'pcie-root-port,id=port1,bus=pcie.0,chassis=1', '-device', 'nvme,bus=port1,serial=ezvm'],
  address: '0000:01:00.0',
  ids: '1b36:0010',
};

/** Runs a script in a machine inside this one, before the tests of the `describe` that calls it. */
export function askInside({ files, guest, devices, ...machine }: Questions): Answers {
  let dir: string | undefined;
  let said = '';
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'ezvm-l1-'));
    for (const [name, text] of Object.entries(files(dir))) writeFileSync(join(dir, name), text);
    if (guest) writeGuestDisk(join(dir, 'disk.raw'), guest);
    said = await runInside({ ...machine, dir, devices: devices?.(dir) ?? [] });
  });
  afterAll(() => {
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  });
  return {
    get console() {
      return said;
    },
    line: (word) => new RegExp(`^${word}: (.*)$`, 'm').exec(said)?.[1],
  };
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { askVirtiofsd, findVirtiofsd } from '../../src/host/virtiofsd.ts';
import type { Machine } from './machine.ts';
import { NO_GUEST, scripted } from './scripted.ts';

const SERVER = findVirtiofsd();
const OPTIONS = SERVER === undefined ? [] : (await askVirtiofsd(SERVER)).options;
const IS_NEW = OPTIONS.includes('--shared-dir');
const IS_ROOT = process.geteuid?.() === 0;
const MISSING =
  NO_GUEST ?? (SERVER === undefined ? 'no virtiofsd' : !IS_NEW && !IS_ROOT ? 'virtiofsd is for root' : undefined);
// A container may forbid namespaces to root, and gives them to users.
const SANDBOX = IS_ROOT ? 'sandbox: chroot' : 'sandbox: namespace';

let machine: Machine | undefined;
afterEach(async () => {
  await machine?.remove();
  machine = undefined;
});

const MOUNTS = {
  virtiofs: (tag: string) => `mount -t virtiofs ${tag} /mnt`,
  'virtio-9p': (tag: string) => `mount -t 9p -o trans=virtio,version=9p2000.L ${tag} /mnt`,
};

/** The guest mounts what it is told to, tells what is in the file `host`, and writes the file `guest`. */
function visit(tag: string, mount: string): string {
  return `${mount}
echo "${tag} read: $(cat /mnt/host)"
if echo "by ${tag}" >/mnt/guest; then echo "${tag} write: done"; else echo "${tag} write: refused"; fi
umount /mnt
`;
}

describe.skipIf(NO_GUEST !== undefined)(`folders of the host${NO_GUEST ? ` (left out: ${NO_GUEST})` : ''}`, () => {
  for (const { type, settings, left, readOnly } of [
    { type: 'virtio-9p', settings: '', left: NO_GUEST, readOnly: true },
    {
      type: 'virtiofs',
      settings: `, ${SANDBOX}`,
      left: MISSING,
      readOnly: OPTIONS.includes('--readonly'),
    },
  ] as const)
    it.skipIf(left !== undefined)(
      `are read and written over ${type}${left ? ` (left out: ${left})` : ''}`,
      async () => {
        const locked = readOnly ? `  - { type: ${type}, path: locked, tag: locked, read-only: on${settings} }\n` : '';
        const mount = MOUNTS[type];
        machine = scripted(
          `mkdir /mnt\n${visit('share0', mount('share0'))}${visit('my-tag', mount('my-tag'))}${readOnly ? visit('locked', mount('locked')) : ''}`,
          `shares:\n  - { type: ${type}, path: 'a, "b"'${settings} }\n  - { type: ${type}, path: tagged, tag: my-tag${settings} }\n${locked}`,
        );
        for (const name of ['a, "b"', 'tagged', 'locked']) machine.write(`${name}/host`, `from ${name}\n`);
        const { err } = await machine.start();
        for (const tag of ['share0', 'my-tag']) expect(err).toContain(`in the guest: ${mount(tag)}\n`);
        const console = await machine.waitFor('--- end of script ---');
        expect(console).toContain('share0 read: from a, "b"\nshare0 write: done\n');
        expect(console).toContain('my-tag read: from tagged\nmy-tag write: done\n');
        expect(readFileSync(join(machine.dir, 'a, "b"', 'guest'), 'utf8')).toBe('by share0\n');
        expect(readFileSync(join(machine.dir, 'tagged', 'guest'), 'utf8')).toBe('by my-tag\n');
        if (readOnly) {
          expect(console).toMatch(/locked read: from locked\n.*Read-only file system\nlocked write: refused\n/);
          expect(() => readFileSync(join(machine?.dir ?? '', 'locked', 'guest'))).toThrow('ENOENT');
        }
      },
    );
});

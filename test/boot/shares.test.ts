import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { askOptions } from '../../src/host/program-options.ts';
import { findVirtiofsd } from '../../src/host/virtiofsd.ts';
import { OTHERS } from '../accept/others.ts';
import type { Machine } from './machine.ts';
import { NO_GUEST, scripted } from './scripted.ts';

const IS_ROOT = process.geteuid?.() === 0;
// A container may forbid namespaces to root, and gives them to users.
const SANDBOX = IS_ROOT ? 'sandbox: chroot' : 'sandbox: namespace';

/** A program that serves folders, what it knows, and why it cannot be tried; 9P needs none. */
interface Server {
  readonly title: string;
  readonly type: 'virtio-9p' | 'virtiofs';
  readonly path?: string | undefined;
  readonly options: readonly string[];
  readonly left: string | undefined;
}

async function virtiofsd(owner: string, path: string | undefined, reason = 'no virtiofsd here'): Promise<Server> {
  const options = path === undefined ? [] : (await askOptions(path)).options;
  const isForRoot = path !== undefined && !options.includes('--shared-dir') && !IS_ROOT;
  const left = NO_GUEST ?? (path === undefined ? reason : isForRoot ? 'it is for root' : undefined);
  return { title: `virtiofs, by the virtiofsd of ${owner}`, type: 'virtiofs', path, options, left };
}

const SERVERS: readonly Server[] = [
  { title: '9P', type: 'virtio-9p', options: ['--readonly'], left: NO_GUEST },
  await virtiofsd('this machine', findVirtiofsd()),
  ...(await Promise.all(OTHERS.map((one) => virtiofsd(one.release, one.virtiofsd, one.reason)))),
];

let machine: Machine | undefined;
afterEach(async () => {
  await machine?.remove();
  machine = undefined;
});

const MOUNTS = {
  virtiofs: (tag: string) => `mkdir -p /mnt/${tag} && mount -t virtiofs ${tag} /mnt/${tag}`,
  'virtio-9p': (tag: string) =>
    `mkdir -p /mnt/${tag} && mount -t 9p -o trans=virtio,version=9p2000.L ${tag} /mnt/${tag}`,
};

/** The guest mounts what it is told to, tells what is in the file `host` and whose that is, and writes the file `guest`. */
function visit(tag: string, mount: string): string {
  return `${mount}
echo "${tag} read: $(cat /mnt/${tag}/host)"
echo "${tag} owner: $(stat -c %u /mnt/${tag}/host)"
if echo "by ${tag}" >/mnt/${tag}/guest; then echo "${tag} write: done"; else echo "${tag} write: refused"; fi
umount /mnt/${tag}
`;
}

describe.skipIf(NO_GUEST !== undefined)(`folders of the host${NO_GUEST ? ` (left out: ${NO_GUEST})` : ''}`, () => {
  for (const { title, type, path, options, left } of SERVERS)
    it.skipIf(left !== undefined)(
      `are read and written over ${title}${left ? ` (left out: ${left})` : ''}`,
      async () => {
        const settings = type === 'virtiofs' ? `, ${SANDBOX}` : '';
        const readOnly = options.includes('--readonly');
        const owned = options.includes('--translate-uid');
        const locked = readOnly ? `  - { type: ${type}, path: locked, tag: locked, read-only: on${settings} }\n` : '';
        const mapped = owned ? `  - { type: ${type}, path: owned, tag: owned, owner: 1000${settings} }\n` : '';
        const mount = MOUNTS[type];
        const tags = ['share0', 'my-tag', ...(readOnly ? ['locked'] : []), ...(owned ? ['owned'] : [])];
        machine = scripted(
          `${tags.map((tag) => visit(tag, mount(tag))).join('')}`,
          `shares:\n  - { type: ${type}, path: 'a, "b"'${settings} }\n  - { type: ${type}, path: tagged, tag: my-tag${settings} }\n${locked}${mapped}`,
        );
        for (const name of ['a, "b"', 'tagged', 'locked', 'owned']) machine.write(`${name}/host`, `from ${name}\n`);
        if (path !== undefined) machine.write('config/ezvm/ezvm.yaml', `programs: { virtiofsd: ${path} }\n`);
        const { err } = await machine.start();
        for (const tag of ['share0', 'my-tag']) expect(err).toContain(`in the guest: ${mount(tag)}\n`);
        const console = await machine.waitFor('--- end of script ---');
        expect(console).toMatch(/^share0 read: from a, "b"\n.*\nshare0 write: done$/m);
        expect(console).toMatch(/^my-tag read: from tagged\n.*\nmy-tag write: done$/m);
        expect(readFileSync(join(machine.dir, 'a, "b"', 'guest'), 'utf8')).toBe('by share0\n');
        expect(readFileSync(join(machine.dir, 'tagged', 'guest'), 'utf8')).toBe('by my-tag\n');
        if (readOnly) {
          expect(console).toMatch(/locked read: from locked\n.*\n.*Read-only file system\nlocked write: refused\n/);
          expect(() => readFileSync(join(machine?.dir ?? '', 'locked', 'guest'))).toThrow('ENOENT');
        }
        if (owned) {
          // Yours are the named user's in the guest, and what its root makes is yours.
          expect(console).toMatch(/^owned owner: 1000$/m);
          expect(statSync(join(machine.dir, 'owned', 'guest')).uid).toBe(process.getuid?.());
        }
      },
    );
});

import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');
const ROOT: Partial<HostFacts> = { user: { uid: 0, gid: 0, name: 'root', home: '/root' } };
const OLD = { virtiofsd: { path: '/usr/lib/qemu/virtiofsd', options: ['--help', '--socket-path'] } };
const EARLY = { virtiofsd: { path: '/usr/libexec/virtiofsd', options: ['--sandbox', '--shared-dir'] } };

function planned(text: string, more: Partial<HostFacts> = {}) {
  const { spec } = specOf(`template: linux\nname: vm\nprofiles: [headless]\n${text}`, CATALOG);
  const { plan, diagnostics } = assemble(spec, CATALOG, { ...LAPTOP, ...more });
  const argv = plan.sidecars.map((sidecar) => sidecar.argv.join(' '));
  const unmet = plan.requirements.flatMap((one) => (one.kind === 'unmet' ? [one.message] : []));
  return { plan, diagnostics, argv, unmet };
}

const share = (more = ''): string => `shares: [{ type: virtiofs, path: /data${more} }]\n`;

describe('a folder over virtiofs', () => {
  it('by a program that does not tell its options, tells what that says instead', () => {
    const broken = { virtiofsd: { path: '/usr/libexec/virtiofsd', options: [], fault: 'libcap.so is missing' } };
    expect(planned(share(', owner: 7'), broken).unmet).toEqual([
      'share0: /usr/libexec/virtiofsd --help does not tell what it can do: libcap.so is missing',
    ]);
  });

  it('by the old program, which for anybody but root tells nothing, says that it is for root', () => {
    const fault = 'setgroups() failed with error=1:Operation not permitted';
    expect(planned(share(), { virtiofsd: { path: '/usr/lib/qemu/virtiofsd', options: [], fault } }).unmet).toEqual([
      'share0: /usr/lib/qemu/virtiofsd shares folders for root only',
    ]);
  });

  it('shares the memory, whatever kind it is, and nothing else does', () => {
    const backends = (text: string): unknown[] =>
      planned(text).plan.qemu.options.flatMap(({ name, args }) =>
        name === 'object' && typeof args === 'object' && args['id'] === 'ram'
          ? [[args['qom-type'], args['share']]]
          : [],
      );
    expect(backends(share())).toEqual([['memory-backend-memfd', true]]);
    expect(backends(`${share()}memory: { type: file }\n`)).toEqual([['memory-backend-file', true]]);
    expect(backends('shares: [/data]\n')).toEqual([]);
  });

  it('is refused in memory that is not to be shared, and both places are named', () => {
    const { diagnostics } = planned(`memory: { type: memfd, share: off }\n${share()}`);
    expect(diagnostics).toEqual([
      expect.objectContaining({
        code: 'memory-unshared',
        origin: expect.objectContaining({ line: 5 }),
        help: 'write `share: on` at vm.yaml:4:9, or leave it out',
      }),
    ]);
  });

  it("belongs to the user, and to the guest's user of one's choice", () => {
    const squashed = (id: string): string => `--translate-${id}=squash-guest:0:1000:4294967295`;
    expect(planned(share()).argv[0]).toMatch(new RegExp(`${squashed('uid')} ${squashed('gid')}$`));
    expect(planned(share(', owner: 500')).argv[0]).toContain(`${squashed('uid')} --translate-uid=host:1000:500:1`);
  });

  it('gets at files by no handles, for which root’s program would need another right', () => {
    const options = [...(LAPTOP.virtiofsd?.options ?? []), '--inode-file-handles'];
    const newer = { virtiofsd: { path: '/usr/libexec/virtiofsd', options } };
    expect(planned(share(), { ...ROOT, ...newer }).argv[0]).toContain(' --inode-file-handles=never');
    expect(planned(share(), newer).argv[0]).not.toContain('handles');
    expect(planned(share(), { ...ROOT, ...EARLY }).argv[0]).not.toContain('handles');
  });

  it("keeps each user's files apart when root shares it", () => {
    expect(planned(share(), ROOT).argv[0]).not.toContain('--translate');
    expect(planned(share(', owner: 500'), ROOT).argv[0]).toContain('--translate-uid=squash-guest:0:0:4294967295');
  });

  it('is served by the old program in its own words, which are for root', () => {
    expect(
      planned('shares: [{ type: virtiofs, path: "/a,b\\\\c", cache: never }]\n', { ...ROOT, ...OLD }).argv[0],
    ).toMatch(/ -f -o source=\/a\\,b\\\\c,sandbox=namespace,cache=none,no_xattr$/);
    expect(planned(share(), { ...ROOT, ...OLD }).unmet).toEqual([]);
    expect(planned(share(), OLD).unmet).toEqual(['share0: /usr/lib/qemu/virtiofsd shares folders for root only']);
  });

  it.each([
    ['read-only: on', { ...ROOT, ...OLD }, 'read-only'],
    ['owner: 5', { ...ROOT, ...OLD }, 'owner'],
    ['sandbox: none', { ...ROOT, ...OLD }, 'sandbox'],
    ['read-only: on', EARLY, 'read-only'],
    ['owner: 5', EARLY, 'owner'],
  ])('with %s takes a program that knows it', (setting, facts, name) => {
    const { virtiofsd } = facts;
    expect(planned(share(`, ${setting}`), facts).unmet).toEqual([
      `share0: ${virtiofsd.path} is too old for \`${name}\``,
    ]);
  });

  it('is left to be mounted, as one over 9P is', () => {
    const two = 'shares: [{ type: virtiofs, path: /data, tag: data }, /other]\n';
    expect(planned(two).plan.guest).toEqual([
      'mkdir -p /mnt/data && mount -t virtiofs data /mnt/data',
      'mkdir -p /mnt/share1 && mount -t 9p -o trans=virtio,version=9p2000.L share1 /mnt/share1',
    ]);
  });

  it('with the tag of another is refused, and both places are named', () => {
    const { diagnostics } = planned('shares: [{ type: virtiofs, path: /a, tag: x }, { path: /b, tag: x }]\n');
    expect(diagnostics).toEqual([
      expect.objectContaining({ code: 'tag-twice', help: 'change one of the two; the other is at vm.yaml:4:10' }),
    ]);
  });
});

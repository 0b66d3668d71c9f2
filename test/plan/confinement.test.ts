import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const WHOLE = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';

function make(vm: string, facts: HostFacts = LAPTOP): Plan {
  return planOf(`template: other\n${vm}`, CATALOG, facts);
}

/** The word after an option, for each time it is there. */
function wordsOf({ qemu: { argv } }: Plan, option: string): (string | undefined)[] {
  return argv.flatMap((word, index) => (word === option ? [argv[index + 1]] : []));
}

describe('the sandbox', () => {
  it('is whole for every display and network but those that it cannot be for', () => {
    const plan = make('display: gtk\nnetwork: [user, { type: tap, ifname: t0 }]\n');
    expect(wordsOf(plan, '-sandbox')).toEqual([WHOLE]);
    expect(plan.qemu.relaxed).toEqual([]);
  });

  it.each([
    [
      'network: [{ type: bridge, bridge: br7 }]\n',
      'off',
      ['all'],
      "QEMU's bridge helper, which connects to br7, is setuid",
    ],
    [
      'audio: { backend: jack }\n',
      WHOLE.replace('resourcecontrol=deny', 'resourcecontrol=allow'),
      ['resourcecontrol'],
      'JACK runs its threads ahead of others',
    ],
    [
      'display: curses\n',
      WHOLE.replace('elevateprivileges=deny', 'elevateprivileges=allow'),
      ['elevateprivileges'],
      'the terminal library makes sure that it is no other user',
    ],
    [
      'network: [{ type: tap-script, script: /a, downscript: /b }]\n',
      WHOLE.replace('spawn=deny', 'spawn=allow'),
      ['spawn'],
      'it runs /a',
    ],
    [
      'qemu: { args: ["-runas", bob] }\n',
      WHOLE.replace('elevateprivileges=deny', 'elevateprivileges=allow'),
      ['elevateprivileges'],
      '-runas needs it',
    ],
    [
      'qemu: { set: { sandbox: { resourcecontrol: allow } } }\n',
      WHOLE.replace('resourcecontrol=deny', 'resourcecontrol=allow'),
      ['resourcecontrol'],
      'qemu.set says so',
    ],
    ['qemu: { set: { sandbox: { enable: off } } }\n', 'off', ['all'], 'qemu.set says so'],
    ['qemu: { args: ["-sandbox", "on"] }\n', 'on', ['all'], 'qemu.args says how it is'],
  ])('of %j is %s', (vm, sandbox, parts, why) => {
    const plan = make(vm);
    expect(wordsOf(plan, '-sandbox')[0]).toContain(sandbox);
    expect(plan.qemu.relaxed.map(({ part }) => part)).toEqual(parts);
    for (const relaxed of plan.qemu.relaxed) expect(relaxed.why).toBe(why);
  });

  it('is not asked of a QEMU that was built without one, which is said', () => {
    const plan = make('', { ...LAPTOP, ...(LAPTOP.qemu && { qemu: { ...LAPTOP.qemu, sandbox: false } }) });
    expect(wordsOf(plan, '-sandbox')).toEqual([]);
    expect(plan.qemu.relaxed).toEqual([{ part: 'all', why: 'this QEMU was built without it' }]);
  });
});

describe('what is taken from processes before they begin', () => {
  const programs = { ...LAPTOP.programs, setpriv: '/usr/bin/setpriv', swtpm: '/usr/bin/swtpm' };
  const user: HostFacts = { ...LAPTOP, programs };
  const root: HostFacts = { ...user, user: { uid: 0, gid: 0, name: 'root', home: '/root' } };
  const NONE = ['--inh-caps=-all', '--ambient-caps=-all', '--bounding-set=-all'];
  const wrappers = ({ qemu, sidecars }: Plan): Record<string, readonly string[] | undefined> => ({
    qemu: qemu.wrapper.slice(1),
    ...Object.fromEntries(sidecars.map(({ name, wrapper }) => [name, wrapper?.slice(1)])),
  });

  it('is the gaining of privileges, from sidecars of an ordinary user; QEMU gives it up with its sandbox', () => {
    expect(wrappers(make('tpm: swtpm\n', user))).toEqual({ qemu: [], swtpm: ['--no-new-privs'] });
    expect(make('', { ...user, ...(user.qemu && { qemu: { ...user.qemu, sandbox: false } }) }).qemu.wrapper).toEqual([
      '/usr/bin/setpriv',
      '--no-new-privs',
    ]);
  });

  it('is not the gaining of privileges from a viewer that hands over USB devices', () => {
    const viewer = 'display: spice\n';
    expect(wrappers(make(viewer, user))['viewer']).toEqual(['--no-new-privs']);
    const both = wrappers(make(`${viewer}usb: [redirection]\ntpm: swtpm\n`, user));
    expect([both['viewer'], both['swtpm']]).toEqual([[], ['--no-new-privs']]);
  });

  it('is every capability of root, less those that a script of its own needs', () => {
    expect(wrappers(make('tpm: swtpm\n', root))).toEqual({ qemu: NONE, swtpm: ['--no-new-privs', ...NONE] });
    const script = 'network: [{ type: tap-script, script: /a, downscript: /b }]\n';
    expect(make(script, root).qemu.wrapper).toContain('--bounding-set=-all,+net_admin');
  });

  it('is nothing from a QEMU that needs its setuid helper', () => {
    expect(make('network: [bridge]\n', user).qemu.wrapper).toEqual([]);
    expect(make('network: [bridge]\n', root).qemu.wrapper).toEqual([]);
  });

  it('is nothing where there is no setpriv', () => {
    const { setpriv: _, ...others } = programs;
    expect(make('', { ...root, programs: others }).qemu.wrapper).toEqual([]);
  });
});

describe('block devices of the host', () => {
  const block = { kind: 'block', readable: true, writable: true } as const;
  const facts: HostFacts = {
    ...LAPTOP,
    paths: { '/dev/vg/a': block, '/vm/link': block, '/dev/shm/x.raw': { ...block, kind: 'file' } },
  };

  it('are opened beforehand, as their disks use them, and no file is', () => {
    const plan = make(
      'disks: [{ file: /dev/vg/a, cache: none }, { file: link, bus: virtio, read-only: true, cache: writeback }, { file: /dev/shm/x.raw, cache: writeback }]\n',
      facts,
    );
    const common = { type: 'block', fdset: true, origin: expect.anything() };
    expect(plan.qemu.descriptors).toEqual([
      { ...common, fd: 10, path: '/dev/vg/a', access: 'write', direct: true, exclusive: true },
      { ...common, fd: 11, path: '/vm/link', access: 'read', direct: false, exclusive: false },
    ]);
    expect(wordsOf(plan, '-add-fd')).toEqual(['fd=10,set=10,opaque=/dev/vg/a', 'fd=11,set=11,opaque=/vm/link']);
    const nodes = wordsOf(plan, '-blockdev').map((word) => JSON.parse(word ?? '').file.filename);
    expect(nodes).toEqual(expect.arrayContaining(['/dev/fdset/10', '/dev/fdset/11', '/dev/shm/x.raw']));
  });

  it('follow what qemu.set makes of a disk', () => {
    const plan = make(
      'disks: [/dev/vg/a]\nqemu: { set: { "blockdev:disk0": { read-only: true, file: { cache: { direct: off } } } } }\n',
      facts,
    );
    expect(plan.qemu.descriptors).toMatchObject([{ access: 'read', direct: false, exclusive: false }]);
  });

  it('are opened once for two that read', () => {
    const plan = make('disks: [{ type: cdrom, file: /dev/vg/a }, { type: cdrom, file: /dev/vg/a }]\n', facts);
    expect(plan.qemu.descriptors).toHaveLength(1);
    expect(JSON.stringify(plan.qemu.argv).match(/fdset\/10/g)).toHaveLength(2);
  });
});

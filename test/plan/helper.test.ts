import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { HostFacts, PathFacts, PciFacts } from '../../src/host/facts.ts';
import type { Plan, Requirement } from '../../src/plan/plan.ts';
import type { PlannedQemu } from '../../src/plan/planned-qemu.ts';
import { findReach } from '../../src/plan/reach.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const DISK = '/dev/vg/vm';
const OPEN = '/dev/vg/open';
const CARD = '0000:03:00.0';
const SOUND = '0000:03:00.1';
const HELPER = { path: '/usr/libexec/ezvm-priv' };
const START = ['/usr/libexec/ezvm-priv', 'run', '--vm=vm'];
const BRIDGE = 'network: [{ type: bridge, bridge: br7 }]\n';
const CARDS = `gpu: { type: passthrough, pci: ["${CARD}", "${SOUND}"] }\nmemory: 2G\n`;

/** A plan of a VM with one disk, which its user may use, unless there is more. */
function plan(more: string, facts: Partial<HostFacts> = {}): Plan {
  const paths = { [OPEN]: { kind: 'block', readable: true, writable: true } as const };
  const text = `template: other\nname: vm\n${more.includes('disks') ? '' : `disks: [${OPEN}]\n`}${more}`;
  return planOf(text, CATALOG, { ...LAPTOP, helper: HELPER, ...facts, paths: { ...paths, ...facts.paths } });
}

function withDisk(found: Partial<PathFacts>, more = '', facts: Partial<HostFacts> = {}): Plan {
  const paths = { [DISK]: { kind: 'block', readable: false, writable: false, ...found } as const };
  return plan(`${more.includes('disks') ? '' : `disks: [${DISK}]\n`}${more}`, { ...facts, paths });
}

function withCards(card: Partial<PciFacts>, sound: Partial<PciFacts>, facts: Partial<HostFacts> = {}): Plan {
  const pci = [
    { address: CARD, id: '10de:2684', group: '7', ...card },
    { address: SOUND, id: '10de:22ba', group: '8', ...sound },
  ];
  return plan(CARDS, { pci, ...facts });
}

function helpOf({ requirements }: Plan, kind: Requirement['kind']): string | undefined {
  const found = requirements.find((one) => one.kind === kind && 'helper' in one);
  return found && 'helper' in found ? found.helper : undefined;
}

function netdevOf({ options }: PlannedQemu): unknown {
  return options.find(({ name }) => name === 'netdev')?.args;
}

const lent = ({ qemu }: Plan): readonly string[] => qemu.wrapper.slice(3);
const FRAME = (...grants: string[]): string[] => [...grants, '--keep-fd=3', '--keep-fd=10', '--'];

describe('the helper', () => {
  it.each([
    ['a disk that is closed to the user', {}, [...START, `--block=10:${DISK}:rw`, '--keep-fd=3', '--']],
    ['one that he may only read', { readable: true }, [...START, `--block=10:${DISK}:rw`, '--keep-fd=3', '--']],
    ['none that he may write', { readable: true, writable: true }, []],
    ['none that is no block device', { kind: 'missing' as const }, []],
  ])('opens %s', (_, found, words) => {
    const { wrapper, descriptors } = withDisk(found).qemu;
    expect(wrapper).toEqual(words);
    expect(descriptors.some(({ opener }) => opener === 'helper')).toBe(words.length > 0);
  });

  it('opens as the disk is used, and passes on what ezvm opens', () => {
    const more = `disks: [${OPEN}, { file: ${DISK}, bus: virtio, cache: none, read-only: on }]\n`;
    expect(lent(withDisk({}, more))).toEqual([`--block=11:${DISK}:ro+direct`, '--keep-fd=3', '--keep-fd=10', '--']);
  });

  it('takes PCI devices that another driver or another user has', () => {
    expect(withCards({}, {}).qemu.helper).toBeUndefined();
    expect(lent(withCards({ closed: true }, {}))).toEqual(FRAME(`--pci=${CARD}`));
    expect(lent(withCards({ closed: true }, { closed: true }))).toEqual(FRAME(`--pci=${CARD}`, `--pci=${SOUND}`));
  });

  it('has them given back by who waits for the end, and needs nobody for the rest', () => {
    const named = ({ sidecars }: Plan): unknown => sidecars.filter(({ name }) => name === 'give-back');
    expect(named(withCards({ closed: true }, {}))).toEqual([
      { name: 'give-back', argv: [HELPER.path, 'release', '--vm=vm', '--wait'], when: 'after' },
    ]);
    expect(named(withDisk({}))).toEqual([]);
  });

  it('takes a whole group, and nothing that is in none', () => {
    expect(lent(withCards({ closed: true }, { group: '7' }))).toEqual(FRAME(`--pci=${CARD}`, `--pci=${SOUND}`));
    const pci = [{ address: CARD, id: '10de:2684', closed: true }] as const;
    expect(plan(CARDS, { pci }).qemu.helper).toBeUndefined();
  });

  it('raises the limit of locked memory where it is too low', () => {
    const bytes = 3 * 2 ** 30;
    expect(lent(withCards({}, {}, { lockable: bytes - 1 }))).toEqual(FRAME(`--memlock=${bytes}`));
    expect(withCards({}, {}, { lockable: bytes }).qemu.helper).toBeUndefined();
    expect(plan('', { lockable: 1 }).qemu.helper).toBeUndefined();
  });

  it('makes taps on bridges, for a QEMU in its whole sandbox', () => {
    const { qemu } = plan(BRIDGE, { helper: { ...HELPER, bridges: { br7: null } } });
    const [fd] = qemu.descriptors.flatMap((one) => (one.type === 'tap' ? one.fd : []));
    expect(netdevOf(qemu)).toEqual({ type: 'tap', id: 'net0', fd: String(fd) });
    expect(qemu.wrapper).toContain(`--tap=${fd}:br7`);
    expect(qemu.wrapper).not.toContain(`--keep-fd=${fd}`);
    expect(qemu.relaxed).toEqual([]);
  });

  it('opens vhost with a tap, which nobody else does', () => {
    const more = 'network: [{ type: bridge, bridge: br7, vhost: on }]\n';
    const { qemu } = plan(more, { helper: { ...HELPER, bridges: { br7: null } } });
    expect(netdevOf(qemu)).toEqual({ type: 'tap', id: 'net0', fd: '11', vhost: true, vhostfd: '10' });
    expect(lent({ qemu } as Plan)).toEqual(['--tap=11:br7:10', '--keep-fd=3', '--keep-fd=12', '--']);
    expect(qemu.helper?.grants.map(({ line }) => line)).toEqual(['allow user:alice bridge br7 vhost']);
    const without = plan(more, { helper: { ...HELPER, bridges: { br7: 'no' } } });
    expect(without.requirements).toContainEqual(expect.objectContaining({ code: 'bridge-vhost' }));
    expect(netdevOf(without.qemu)).toEqual({ type: 'bridge', id: 'net0', br: 'br7' });
  });

  it('leaves a bridge to QEMU’s own helper where it would make no tap, unless it is called for more', () => {
    const helper = { ...HELPER, bridges: { br7: 'no' } };
    const alone = plan(BRIDGE, { helper }).qemu;
    expect([alone.wrapper, alone.relaxed.map(({ by }) => by)]).toEqual([[], ['setuid-helper']]);
    expect(netdevOf(alone)).toMatchObject({ type: 'bridge', br: 'br7' });
    // What it refuses is then told by it, at the bridge's line.
    expect(withDisk({}, BRIDGE, { helper }).qemu.wrapper.join(' ')).toMatch(
      /--tap=\d+:br7.* --block=|--block=.*--tap=/,
    );
  });

  it('is on the network of the bridge for one who is given the file', () => {
    const made = plan(BRIDGE, { helper: { ...HELPER, bridges: { br7: null } } });
    const told = findReach(made, specOf(`template: other\n${BRIDGE}`, CATALOG).spec).map(({ what }) => what);
    expect(told.filter((what) => what.startsWith('net0'))).toEqual(['net0 (bridge) is on the network of bridge br7']);
  });
});

describe('where the helper does nothing', () => {
  const none = { helper: undefined } as unknown as Partial<HostFacts>;
  const faulty = { helper: { ...HELPER, fault: { message: 'it is not setuid', help: 'install it anew' } } };

  it('is not called', () => {
    for (const facts of [none, faulty]) {
      expect(withDisk({}, '', facts).qemu.helper).toBeUndefined();
      expect(withCards({ closed: true }, {}, { ...facts, lockable: 1 }).qemu.wrapper).toEqual([]);
    }
  });

  it.each([
    ['path', withDisk, `allow user:alice block ${DISK} rw`],
    ['vfio', () => withCards({ closed: true }, {}, none), `allow user:alice pci ${CARD} 10de:2684 bind`],
    ['locked-memory', () => withCards({}, {}, { ...none, lockable: 1 }), 'allow user:alice memlock 3072M'],
  ] as const)('the line of its policy that would help is told: %s', (kind, make, line) => {
    const made = kind === 'path' ? withDisk({}, '', none) : (make as () => Plan)();
    expect(helpOf(made, kind)).toBe(
      `have ezvm's helper do it (sudo ezvm setup helper --apply), with the line \`${line}\` in its policy`,
    );
  });

  it('what is wrong with it is told, and nothing where it is not needed', () => {
    expect(helpOf(withDisk({}, '', faulty), 'path')).toBe(
      "have ezvm's helper do it, but it is not setuid: install it anew",
    );
    expect(helpOf(withDisk({ readable: true, writable: true }, '', faulty), 'path')).toBeUndefined();
    expect(helpOf(withCards({}, {}, faulty), 'vfio')).toBeUndefined();
  });

  it('a bridge that keeps it from the rest is told', () => {
    const facts = { lockable: 1, helper: { ...HELPER, bridges: { br7: 'no' } } };
    const pci = [{ address: CARD, id: '10de:2684', group: '7' }];
    const made = plan(`pci: ["${CARD}"]\n${BRIDGE}`, { ...facts, pci });
    expect(made.qemu.helper).toBeUndefined();
    expect(helpOf(made, 'locked-memory')).toContain('make the tap as well: with `allow user:alice bridge br7`');
  });

  it('a bridge is told with all that would help', () => {
    const links = { br7: { kind: 'bridge', index: 7, mac: '' } } as const;
    const bridgeHelper = { path: '/usr/lib/qemu/qemu-bridge-helper', privileged: true, rules: [] };
    const told = (facts: Partial<HostFacts>): string | undefined =>
      plan(BRIDGE, { links, bridgeHelper, ...facts }).requirements.flatMap((one) =>
        one.kind === 'unmet' && one.code === 'bridge-denied' ? [one.help] : [],
      )[0];
    expect(told(none)).toMatch(/bridge\.conf; or have ezvm's helper .* `allow user:alice bridge br7`/);
    expect(told({ helper: { ...HELPER, bridges: { br7: 'no' } } })).toMatch(
      /or let root add the line `allow user:alice bridge br7`/,
    );
  });
});

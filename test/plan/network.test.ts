import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');

function planned(network: string, more: Partial<HostFacts> = {}) {
  const { spec } = specOf(`template: linux\nname: vm\nprofiles: [headless]\n${network}`, CATALOG);
  return assemble(spec, CATALOG, { ...LAPTOP, ...more });
}

function unmet(
  network: string,
  more: Partial<HostFacts>,
): { code: string; message: string; help: string | undefined }[] {
  return planned(`network: [${network}]\n`, more).plan.requirements.flatMap((one) =>
    one.kind === 'unmet' ? [{ code: one.code, message: one.message, help: one.help }] : [],
  );
}

describe('a port of the host', () => {
  it.each([
    ['twice in one list', '[{ forward: ["2222:22", "2222:80"] }]'],
    ['by two cards', '[{ forward: "2222:22" }, { forward: "2222:22" }]'],
    ['on one address and on all', '[{ forward: "2222:22" }, { forward: "0.0.0.0:2222:22" }]'],
  ])('is wanted %s, which is refused', (_, network) => {
    const { diagnostics } = planned(`network: ${network}\n`);
    expect(diagnostics.map(({ code, message }) => [code, message])).toEqual([
      ['port-twice', 'tcp port 2222 is wanted twice'],
    ]);
  });

  it('is wanted by a card and by a screen, and both places are named', () => {
    const { diagnostics } = planned(
      'display: none\nvnc: { type: tcp, number: 1 }\nnetwork: [{ forward: "5901:22" }]\n',
    );
    expect(diagnostics).toEqual([
      expect.objectContaining({
        code: 'port-twice',
        origin: expect.objectContaining({ file: 'vm.yaml', line: 6 }),
        help: expect.stringMatching(/the other is at vm\.yaml:5:/),
      }),
    ]);
  });

  it.each([
    ['on two addresses', '[{ forward: "127.0.0.1:2222:22" }, { forward: "127.0.0.2:2222:22" }]'],
    ['by two protocols', '[{ forward: ["2222:22", "udp/2222:22"] }]'],
  ])('is wanted %s, which is well', (_, network) => {
    expect(planned(`network: ${network}\n`).diagnostics).toEqual([]);
  });
});

describe('two cards', () => {
  it('with one address are refused, and both places are named', () => {
    const mac = 'mac: "52:54:00:12:34:56"';
    expect(planned(`network:\n  - { ${mac} }\n  - { type: bridge, ${mac} }\n`).diagnostics).toEqual([
      expect.objectContaining({
        code: 'mac-twice',
        origin: expect.objectContaining({ line: 6 }),
        help: 'change one of the two; the other is at vm.yaml:5:5',
      }),
    ]);
  });

  it('have addresses of their own when none is given', () => {
    expect(planned('network: [user, user, user]\n').diagnostics).toEqual([]);
  });
});

describe('a tap', () => {
  const links = (tap0: NonNullable<HostFacts['links']>[string]): Partial<HostFacts> => ({ links: { tap0 } });
  const tap = { kind: 'tap', index: 9, mac: '52:54:00:00:00:01', usable: true, queues: false } as const;
  const make = 'make it: sudo ip tuntap add dev tap0 mode tap user $USER && sudo ip link set tap0 up';

  it('that is as it should be is taken', () => {
    expect(unmet('{ type: tap, ifname: tap0 }', links(tap))).toEqual([]);
    expect(unmet('{ type: tap, ifname: tap0, queues: 4 }', links({ ...tap, queues: true }))).toEqual([]);
  });

  it.each([
    [{ kind: 'missing' } as const, 'interface-missing', 'there is no network interface tap0', make],
    [
      { kind: 'bridge', index: 1 } as const,
      'interface-wrong-kind',
      'the network interface tap0 is no tap',
      `choose another name; ${make}`,
    ],
    [{ ...tap, usable: false }, 'interface-denied', 'the tap tap0 belongs to somebody else', make],
  ])('that is %o is told with what to do', (link, code, message, help) => {
    expect(unmet('{ type: tap, ifname: tap0 }', links(link))).toEqual([{ code, message, help }]);
  });

  it.each([
    ['', true, 'was made for several queues, and net0 asks for one'],
    ['queues: 4', false, 'was made for one queue, and net0 asks for several'],
  ])('with %s and several queues %s does not fit', (queues, has, message) => {
    expect(unmet(`{ type: tap, ifname: tap0, ${queues} }`, links({ ...tap, queues: has }))).toEqual([
      expect.objectContaining({ code: 'interface-queues', message: `the tap tap0 ${message}` }),
    ]);
  });

  it('whose packets the kernel moves needs its device', () => {
    const { requirements } = planned('network: [{ type: tap, ifname: tap0, vhost: on }]\n').plan;
    expect(requirements).toContainEqual(expect.objectContaining({ path: '/dev/vhost-net', access: 'write' }));
  });
});

describe('a bridge', () => {
  const helper = {
    path: '/usr/lib/qemu/qemu-bridge-helper',
    privileged: true,
    rules: [{ allow: true, bridge: 'br0' }],
  };
  const host = (change: Partial<NonNullable<HostFacts['bridgeHelper']>>): Partial<HostFacts> => ({
    links: { br0: { kind: 'bridge', index: 3 } },
    bridgeHelper: { ...helper, ...change },
  });

  it('that the helper may use is taken', () => {
    expect(unmet('{ type: bridge }', host({}))).toEqual([]);
    expect(unmet('{ type: bridge }', host({ rules: [{ allow: true, bridge: 'all' }] }))).toEqual([]);
  });

  it.each([
    [
      { privileged: false },
      'bridge-helper-powerless',
      'has not the right to',
      'sudo chmod u+s /usr/lib/qemu/qemu-bridge-helper',
    ],
    [
      { rules: [], fault: '/etc/qemu/bridge.conf does not exist' },
      'bridge-denied',
      'does not exist',
      "echo 'allow br0'",
    ],
    [{ rules: [{ allow: true, bridge: 'br1' }] }, 'bridge-denied', 'does not allow the bridge br0', "echo 'allow br0'"],
    [
      { rules: [...helper.rules, { allow: false, bridge: 'all' }] },
      'bridge-denied',
      'denies the bridge br0',
      'remove that line',
    ],
  ])('whose helper has %o is told with what to do', (change, code, message, help) => {
    expect(unmet('{ type: bridge }', host(change))).toEqual([
      { code, message: expect.stringContaining(message), help: expect.stringContaining(help) },
    ]);
  });

  it('without its helper, or that is none, is told', () => {
    const { bridgeHelper: _, ...without } = { ...LAPTOP, ...host({}) };
    const { requirements } = assemble(specOf('name: vm\nnetwork: bridge\n', CATALOG).spec, CATALOG, without).plan;
    expect(requirements).toContainEqual(expect.objectContaining({ kind: 'program', program: 'qemu-bridge-helper' }));
    expect(unmet('{ type: bridge }', { ...host({}), links: { br0: { kind: 'missing' } } })).toEqual([
      expect.objectContaining({ code: 'interface-missing', help: expect.stringContaining('type bridge') }),
    ]);
  });
});

describe('passt', () => {
  const forwards = 'forward: ["2222:22", "udp/0.0.0.0:5353:53"]';
  const netdev = (version: string): unknown => {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const qemu = LAPTOP.qemu && { ...LAPTOP.qemu, version: { major, minor, micro: 0 } };
    const { plan } = planned('network: passt\n', qemu && { qemu });
    const again = plan.sidecars.map(({ reconnects }) => reconnects);
    const args = plan.qemu.options.find(({ name }) => name === 'netdev')?.args as QemuProps;
    return [args['reconnect'], args['reconnect-ms'], ...again];
  };

  it('forwards ports, which must be free', () => {
    const { plan } = planned(`network: [{ type: passt, ${forwards} }]\n`);
    expect(plan.sidecars[0]?.argv.join(' ')).toContain('--tcp-ports 127.0.0.1/2222:22 --udp-ports 0.0.0.0/5353:53');
    expect(plan.requirements.filter(({ kind }) => kind === 'port')).toEqual([
      expect.objectContaining({ host: '127.0.0.1', port: 2222, protocol: 'tcp' }),
      expect.objectContaining({ host: '0.0.0.0', port: 5353, protocol: 'udp' }),
    ]);
  });

  it('of root’s stays root only where an old one could not make its socket else', () => {
    const root = { user: { uid: 0, gid: 0, name: 'root', home: '/root' } };
    const argv = (more: Partial<HostFacts>): string =>
      planned('network: passt\n', more).plan.sidecars[0]?.argv.join(' ') ?? '';
    const passt = (...options: string[]): Partial<HostFacts> => ({
      ...root,
      passt: { path: '/usr/bin/passt', options },
    });
    expect(argv(passt('--runas'))).toContain(' --runas 0 ');
    for (const host of [passt('--map-host-loopback', '--runas'), root, {}]) expect(argv(host)).not.toContain('--runas');
  });

  it('is one program for each card', () => {
    expect(planned('network: [passt, passt]\n').plan.sidecars.map(({ name }) => name)).toEqual([
      'passt-net0',
      'passt-net1',
    ]);
  });

  it('may come back where QEMU connects again, which it is told in the words of its version', () => {
    expect(netdev('7.2')).toEqual([undefined, undefined, undefined]);
    expect(netdev('8.0')).toEqual([1, undefined, true]);
    expect(netdev('9.2')).toEqual([undefined, 1000, true]);
  });

  it('takes a QEMU that can speak to it', () => {
    const qemu = LAPTOP.qemu && { ...LAPTOP.qemu, version: { major: 7, minor: 1, micro: 0 } };
    expect(unmet('{ type: passt }', qemu ? { qemu } : {})).toEqual([
      expect.objectContaining({ code: 'qemu-too-old', message: expect.stringContaining('7.2') }),
    ]);
  });
});

describe('a macvtap', () => {
  const mvt0 = { kind: 'macvtap', index: 12, mac: '1a:2b:3c:4d:5e:6f' } as const;

  it('is handed over open, and the card has its address', () => {
    const { plan } = planned('network: [{ type: macvtap, ifname: mvt0 }]\n', { links: { mvt0 } });
    expect(plan.qemu.descriptors).toEqual([
      expect.objectContaining({ fd: 10, path: '/dev/tap12', type: 'character', access: 'write', fdset: false }),
    ]);
    const args = plan.qemu.options.map((option) => option.args);
    expect(args).toContainEqual({ type: 'tap', id: 'net0', fd: '10', vhost: false });
    expect(args).toContainEqual(expect.objectContaining({ id: 'net0-device', mac: mvt0.mac }));
  });

  it.each([
    ['', { kind: 'missing' } as const, 'interface-missing'],
    ['', { kind: 'tap', index: 3 } as const, 'interface-wrong-kind'],
    ['', undefined, 'interface-unknown'],
    [', mac: "52:54:00:12:34:56"', mvt0, 'mac-differs'],
  ])('is refused by name%s where it is %o', (more, link, code) => {
    const { links: _, ...host } = LAPTOP;
    const facts = { ...host, ...(link && { links: { mvt0: link } }) };
    const { spec } = specOf(`name: vm\nnetwork: [{ type: macvtap, ifname: mvt0${more} }]\n`, CATALOG);
    const { requirements } = assemble(spec, CATALOG, facts).plan;
    expect(requirements.flatMap((one) => (one.kind === 'unmet' ? [one.code] : []))).toEqual([code]);
  });
});

describe('a virtual function', () => {
  const functions = [{ pci: '0000:05:10.0', mac: '52:54:00:00:00:01' }, { pci: '0000:05:10.2' }];
  const eno1 = { kind: 'other', index: 2, functions } as const;
  const card = (more: string): string => `{ type: sriov, parent: eno1, ${more} }`;

  it('that has its address is handed over', () => {
    const text = card('vf: 0, mac: "52:54:00:00:00:01"');
    expect(unmet(text, { links: { eno1 } })).toEqual([]);
    const { plan } = planned(`network: [${text}]\n`, { links: { eno1 } });
    expect(plan.qemu.options.map((option) => option.args)).toContainEqual(
      expect.objectContaining({ driver: 'vfio-pci', id: 'net0-device', host: '0000:05:10.0' }),
    );
  });

  it('that is elsewhere than the file says is told', () => {
    const unmets = unmet(card('vf: 1, pci: "0000:05:10.0"'), { links: { eno1 } });
    expect(unmets).toEqual([
      {
        code: 'function-differs',
        message: 'function 1 of eno1 is at 0000:05:10.2, and net0 says 0000:05:10.0',
        help: 'correct one of the two, or leave out `pci`',
      },
    ]);
    expect(unmet(card('vf: 0, pci: "05:10.0", mac: "52:54:00:00:00:01"'), { links: { eno1 } })).toEqual([]);
  });

  it('that has another address is told with the command that sets it', () => {
    expect(unmet(card('vf: 0, mac: "52:54:00:00:00:09"'), { links: { eno1 } })).toEqual([
      expect.objectContaining({
        code: 'mac-differs',
        help: 'give it that: sudo ip link set eno1 vf 0 mac 52:54:00:00:00:09',
      }),
    ]);
  });

  it('that is not there is told with the command that makes it', () => {
    expect(unmet(card('vf: 7'), { links: { eno1 } })).toEqual([
      {
        code: 'function-missing',
        message: 'the card eno1 has 2 virtual functions, and none with the number 7',
        help: 'make some: echo 8 | sudo tee /sys/class/net/eno1/device/sriov_numvfs',
      },
    ]);
  });

  it('whose address nobody tells is started with a warning', () => {
    const { plan } = planned(`network: [${card('vf: 1')}]\n`, { links: { eno1 } });
    expect(plan.notes).toContainEqual(expect.objectContaining({ code: 'mac-unknown', severity: 'warning' }));
  });

  it('of a card that is missing is told once', () => {
    const codes = unmet(card('vf: 0'), { links: { eno1: { kind: 'missing' } } }).map(({ code }) => code);
    expect(codes).toEqual(['interface-missing']);
  });
});

describe('a cable', () => {
  it('has ends that others send to, which must be free', () => {
    const ports = (network: string): unknown[] =>
      planned(`network: [${network}]\n`).plan.requirements.flatMap((one) =>
        one.kind === 'port' ? [`${one.protocol} ${one.host} ${one.port}`] : [],
      );
    expect(ports('{ type: stream, server: on, port: 6000 }')).toEqual(['tcp 127.0.0.1 6000']);
    expect(ports('{ type: stream, port: 6000 }')).toEqual([]);
    expect(ports('{ type: stream, server: on, path: /tmp/x }')).toEqual([]);
    expect(ports('{ type: dgram, local-port: 6001 }')).toEqual(['udp 127.0.0.1 6001']);
  });

  it('of sockets has two ends', () => {
    const { diagnostics } = planned('network: [{ type: dgram, local-path: /tmp/x }]\n');
    expect(diagnostics).toEqual([
      expect.objectContaining({ code: 'combination-refused', help: 'give remote-path, too' }),
    ]);
  });
});

describe('a card', () => {
  it.each([
    ['{ model: e1000, mtu: 9000 }', 'mtu'],
    ['{ type: tap, ifname: tap0, model: e1000, queues: 2 }', 'queues'],
  ])('%s has a setting that is not for it', (network, key) => {
    const { diagnostics } = planned(`network: [${network}]\n`);
    expect(diagnostics.map(({ code, help }) => [code, help?.includes(key)])).toEqual([['combination-refused', true]]);
  });
});

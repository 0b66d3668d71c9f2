import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { OTHERS } from '../accept/others.ts';
import { freePorts } from '../ports.ts';
import { AS_ROOT, type Machine } from './machine.ts';
import { echo, NO_GUEST, scripted } from './scripted.ts';

const LEFT_OUT = NO_GUEST ? ` (left out: ${NO_GUEST})` : '';
const PASST = ['/usr/bin/passt', '/usr/local/bin/passt'].some(existsSync) ? undefined : 'no passt';
/** This machine's passt, and those of other releases. */
const PASSTS = [
  { title: 'passt', path: undefined, left: PASST },
  ...OTHERS.map(({ release, passt, reason }) => ({
    title: `the passt of ${release}`,
    path: passt,
    left: passt === undefined ? (reason ?? 'node test/qemus.mjs gets it') : undefined,
  })),
];
const ROOT_ONLY = process.geteuid?.() !== 0 ? 'not root' : existsSync('/dev/net/tun') ? undefined : 'no /dev/net/tun';

let machines: Machine[] = [];
afterEach(async () => {
  await Promise.all(machines.map((machine) => machine.remove()));
  machines = [];
});

function guest(script: string, yaml: string, within?: readonly string[]): Machine {
  const machine = scripted(script, yaml, within);
  machines.push(machine);
  return machine;
}

/** The guest gets an address, and answers every line that is sent to its port 7; and tells of datagrams to its port 9. */
const SERVE = `
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 10 -T 1 -s /init >/dev/null
echo "eth0: $(ip -4 addr show dev eth0 | sed -n 's/.* inet \\([0-9.]*\\).*/\\1/p'), MTU $(cat /sys/class/net/eth0/mtu)"
(while :; do nc -l -p 7 -e cat; done) &
unreached() { awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp; }
before=$(unreached)
echo 'guest is ready'
for try in $(seq 2400); do [ "$(unreached)" = "$before" ] || break; usleep 50000; done
echo 'guest got a datagram'
while :; do sleep 1000; done
`;

async function sendDatagrams(port: number, until: Promise<unknown>): Promise<void> {
  const socket = createSocket('udp4');
  let over = false;
  const ended = until.finally(() => {
    over = true;
  });
  while (!over) {
    socket.send('hello', port, '127.0.0.1');
    await Promise.race([ended, sleep(100)]);
  }
  socket.close();
  await ended;
}

describe.skipIf(NO_GUEST !== undefined)(`a network${LEFT_OUT}`, () => {
  it('has the cards that its file says, each with its address and its MTU', async () => {
    const models = ['virtio', 'e1000', 'e1000e', 'rtl8139', 'vmxnet3'];
    const cards = models.map((model, index) => `  - { model: ${model}, mac: "52:54:00:00:00:0${index}" }\n`);
    const machine = guest(
      // The old Realtek's driver loads late.
      'for try in $(seq 100); do [ ! -e /sys/class/net/eth5 ] || break; usleep 50000; done\nfor card in /sys/class/net/eth*; do echo "card: $(cat $card/address) $(basename $(readlink $card/device/driver)) $(cat $card/mtu)"; done',
      `network:\n${cards.join('')}  - { mtu: 1400, mac: "52:54:00:00:00:05" }\n`,
    );
    await machine.start();
    const console = await machine.waitFor('--- end of script ---');
    expect([...console.matchAll(/^card: (.*)$/gm)].map(([, card]) => card).toSorted()).toEqual([
      '52:54:00:00:00:00 virtio_net 1500',
      '52:54:00:00:00:01 e1000 1500',
      '52:54:00:00:00:02 e1000e 1500',
      '52:54:00:00:00:03 8139cp 1500',
      '52:54:00:00:00:04 vmxnet3 1500',
      '52:54:00:00:00:05 virtio_net 1400',
    ]);
  });

  it('none is no card at all', async () => {
    const machine = guest('ls /sys/class/net', 'network: none\n');
    await machine.start();
    expect(await machine.waitFor('--- end of script ---')).toContain('--- script ---\nlo\n--- end of script ---');
  });

  for (const { type, title, path, left, address } of [
    { type: 'user', title: 'user', path: undefined, left: undefined, address: /^10\.0\.2\.15$/ },
    ...PASSTS.map((one) => ({ ...one, type: 'passt', address: /^\d+\.\d+\.\d+\.\d+$/ })),
  ])
    it.skipIf(left !== undefined)(
      `behind ${title} forwards TCP and UDP into the guest${left ? ` (left out: ${left})` : ''}`,
      async () => {
        const [tcp = 0, udp = 0] = await freePorts(2);
        const forward = `["${tcp}:7", "udp/${udp}:9"]`;
        const machine = guest(SERVE, `network: [{ type: ${type}, mtu: 1400, forward: ${forward} }]\n`);
        if (path !== undefined) machine.write('config/ezvm/ezvm.yaml', `programs: { passt: ${path} }\n`);
        await machine.start();
        const console = await machine.waitFor('guest is ready');
        const [, found = '', mtu] = /^eth0: (.*), MTU (\d+)$/m.exec(console) ?? [];
        expect(found).toMatch(address);
        expect(mtu).toBe('1400');
        expect(await echo(tcp, 'hello through a forward')).toBe('hello through a forward');
        await sendDatagrams(udp, machine.waitFor('guest got a datagram'));
      },
    );

  it.skipIf(PASST !== undefined)(
    `of a passt that dies is told by status, and the guest goes on${PASST ? ` (left out: ${PASST})` : ''}`,
    async () => {
      const machine = guest(SERVE, 'network: passt\n');
      await machine.start();
      await machine.waitFor('guest is ready');
      const [passt] = (await machine.status()).sidecars;
      process.kill(passt?.pid ?? 0, 'SIGKILL');
      await expect.poll(async () => (await machine.status()).sidecars[0]?.alive, { timeout: 60_000 }).toBe(false);
      expect((await machine.status()).condition).toBe('running');
      expect((await machine.ezvm('status', 'vm')).out).toMatch(/sidecar +passt-net0: DEAD/);
    },
  );
});

/** Cards that stand in a private network of the test's own, in which a command is run by these words. */
async function privateNetwork(setup: string): Promise<readonly string[]> {
  const inside = `mount -t sysfs sysfs /sys && ip link set lo up && ${setup.trim().replaceAll('\n', ' && ')} && echo ready && exec sleep 3600`;
  const keeper = spawn('unshare', ['--net', '--mount', 'sh', '-c', inside], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void keeper.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    keeper.stdout.once('data', () => resolve());
    keeper.once('exit', (code) => reject(new Error(`the private network could not be made: ${code}`)));
  });
  return ['nsenter', `--target=${keeper.pid}`, '--net', '--mount'];
}

const NO_INTERFACES = NO_GUEST ?? ROOT_ONLY;

describe.skipIf(NO_INTERFACES !== undefined)(
  `interfaces of the host${NO_INTERFACES ? ` (left out: ${NO_INTERFACES})` : ''}`,
  () => {
    it('a tap, a bridge by its helper and a macvtap lead to their networks', async () => {
      const within = await privateNetwork(`
ip link add br0 type bridge
ip addr add 10.77.0.1/24 dev br0
ip link set br0 up
ip tuntap add dev tap0 mode tap
ip link set tap0 master br0 up
ip link add br1 type bridge
ip addr add 10.78.0.1/24 dev br1
ip link set br1 up
ip link add veth0 type veth peer name veth1
ip addr add 10.79.0.1/24 dev veth1
ip link set veth1 up
ip link set veth0 up
ip link add link veth0 name mvt0 address 52:54:00:79:00:02 type macvtap mode bridge
ip link set mvt0 up
mkdir -p /etc/qemu
mount -t tmpfs tmpfs /etc/qemu
echo 'allow br1' >/etc/qemu/bridge.conf`);
      const machine = guest(
        [0, 1, 2]
          .map((card) => {
            const net = `10.7${card + 7}.0`;
            return `ip addr add ${net}.2/24 dev eth${card}; ip link set eth${card} up
for try in $(seq 30); do ping -c 1 -W 1 ${net}.1 >/dev/null && break; done && echo "eth${card} $(cat /sys/class/net/eth${card}/address): reached"`;
          })
          .join('\n'),
        `
network:
  - { type: tap, ifname: tap0, mac: "52:54:00:77:00:02" }
  - { type: bridge, bridge: br1, mac: "52:54:00:78:00:02" }
  - { type: macvtap, ifname: mvt0 }
`,
        within,
      );
      await machine.start();
      const console = await machine.waitFor('--- end of script ---');
      for (const [card, number] of ['77', '78', '79'].entries())
        expect(console).toContain(`eth${card} 52:54:00:${number}:00:02: reached`);
    });

    it('that are not as they should be are named before anything starts', async () => {
      const within = await privateNetwork(
        'ip link add br0 type bridge\nmkdir -p /etc/qemu\nmount -t tmpfs tmpfs /etc/qemu',
      );
      const machine = guest('', 'network: [{ type: tap, ifname: tap7 }, { type: tap, ifname: br0 }, bridge]\n', within);
      const { exit, err } = await machine.ezvm(...AS_ROOT, machine.file);
      expect(exit).toBe(3);
      for (const said of [
        'there is no network interface tap7',
        'the network interface br0 is no tap',
        "QEMU's bridge helper allows no bridge: /etc/qemu/bridge.conf does not exist",
      ])
        expect(err).toContain(said);
    });
  },
);

describe.skipIf(NO_GUEST !== undefined)(`cables between two VMs${LEFT_OUT}`, () => {
  it('carry packets: by multicast, by a stream, and as datagrams', async () => {
    const [multicast = 0, tcp = 0, here = 0, there = 0] = await freePorts(4);
    const script = (own: number, other: number): string =>
      [0, 1, 2, 3]
        .map(
          (card) => `ip addr add 10.9${card}.0.${own}/24 dev eth${card}; ip link set eth${card} up
(until ping -c 1 -W 1 10.9${card}.0.${other} >/dev/null; do :; done; echo "eth${card} reaches ${other}") &`,
        )
        .join('\n')
        .concat('\nwait\necho all reached\nwhile :; do sleep 1000; done\n');
    const first = guest(
      script(1, 2),
      `network:
  - { type: socket, mcast: "230.0.0.1:${multicast}" }
  - { type: stream, server: on, port: ${tcp} }
  - { type: stream, server: on, path: cable.sock }
  - { type: dgram, local-port: ${here}, remote-port: ${there} }
`,
    );
    await first.start();
    const second = guest(
      script(2, 1),
      `network:
  - { type: socket, mcast: "230.0.0.1:${multicast}", mac: "52:54:00:00:00:20" }
  - { type: stream, port: ${tcp}, mac: "52:54:00:00:00:21" }
  - { type: stream, path: ${first.dir}/cable.sock, mac: "52:54:00:00:00:22" }
  - { type: dgram, local-port: ${there}, remote-port: ${here}, mac: "52:54:00:00:00:23" }
`,
    );
    await second.start();
    const [one, two] = await Promise.all([first.waitFor('all reached'), second.waitFor('all reached')]);
    for (const card of [0, 1, 2, 3]) {
      expect(one).toContain(`eth${card} reaches 2`);
      expect(two).toContain(`eth${card} reaches 1`);
    }
  });
});

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../launch/plan-builder.ts';
import type { Namespace } from './namespace.ts';
import { MISSING, makeNetwork, type Person, Town } from './people.ts';

const NETWORKD = ['/usr/lib/systemd/systemd-networkd', '/lib/systemd/systemd-networkd'].find(existsSync);
const NO_NETWORKD = MISSING ?? (NETWORKD ? undefined : 'no systemd-networkd');
const NO_MANAGER =
  MISSING ??
  ['NetworkManager', 'dbus-daemon'].find((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);

/** A message bus for whoever asks it, which NetworkManager does not work without. */
const BUS = `<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
${['method_call', 'method_return', 'signal', 'error'].map((type) => `<allow receive_type="${type}"/><allow send_type="${type}"/>`).join('')}
</policy></busconfig>
`;

let town: Town;
let alice: Person;
let stranger: Person;
let root: string;
let network: Namespace | undefined;
const daemons: ChildProcess[] = [];
beforeAll(() => {
  if (MISSING !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  stranger = town.add('s', false);
  root = join(town.dir, 'root');
});
afterEach(async () => {
  if (network) town.as(alice, town.ezvm('stop', '--force', 'vm'), network.inside);
  for (const daemon of daemons.splice(0)) {
    const gone = new Promise((resolve) => daemon.once('exit', resolve));
    if (daemon.exitCode === null && daemon.signalCode === null && daemon.kill()) await gone;
  }
  await network?.remove();
  network = undefined;
  rmSync(root, { recursive: true, force: true });
});
afterAll(() => town?.remove());

/** Has the setup make the files of a network daemon for a VM with a tap, in a bridge that is not there. */
function install(daemon: string): void {
  mkdirSync(root);
  const vm =
    'template: other\nnetwork: [{ type: tap, ifname: win0, queues: 2, model: virtio }, { type: bridge, bridge: ezbr0 }]\n';
  const file = town.built.write('needs.yaml', vm);
  const words = ['--user', alice.name, '--network', daemon, '--bridge', 'ezbr0', '--root', root, '--apply'];
  const { exit, err } = town.built.run(['setup', 'group', file, ...words]);
  expect(exit, err).toBe(0);
}

/** Starts a daemon in the network. */
function run(...argv: string[]): void {
  const [program = '', ...args] = [...(network?.inside ?? []), ...argv];
  daemons.push(spawn(program, args, { env: { PATH: process.env['PATH'] }, stdio: 'ignore' }));
}

function link(name: string): string {
  return spawnSync('nsenter', [...(network?.inside ?? []).slice(1), 'ip', '-d', '-oneline', 'link', 'show', name], {
    encoding: 'utf8',
  }).stdout;
}

/** Lets a person start a VM with the tap. */
function start(person: Person): ReturnType<Town['as']> {
  const file = town.built.write(
    join(person.home, 'vm.yaml'),
    `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\nnetwork: [{ type: tap, ifname: win0, queues: 2, model: virtio }]\n`,
  );
  return town.as(person, town.ezvm('start', file), network?.inside);
}

async function expectNetwork(): Promise<void> {
  await until('the tap in its bridge', () => /<[^>]*\bUP\b.* master ezbr0 /.test(link('win0')));
  expect(link('ezbr0')).toMatch(/<[^>]*\bUP\b.* bridge /);
  expect(link('win0')).toMatch(new RegExp(`tun type tap .*vnet_hdr on multi_queue .*persist on user ${alice.name} `));
  const refused = start(stranger);
  expect(refused.exit, refused.err).toBe(3);
  expect(refused.err).toContain('win0');
  const { exit, err } = start(alice);
  expect(exit, err).toBe(0);
  expect(link('win0')).toMatch(/LOWER_UP.* master ezbr0 /);
}

describe('the network that setup group makes', () => {
  it.skipIf(NO_NETWORKD !== undefined)(
    `is made by systemd-networkd${NO_NETWORKD ? ` (left out: ${NO_NETWORKD})` : ''}`,
    async () => {
      install('networkd');
      // Where /sys can be written it would wait for udev.
      network = await makeNetwork(
        town.dir,
        `mount -t sysfs -o ro none /sys && mount -t tmpfs none /run && mkdir -p /etc/systemd/network &&
mount --bind ${root}/etc/systemd/network /etc/systemd/network`,
      );
      run(NETWORKD ?? '');
      await expectNetwork();
    },
  );

  it.skipIf(NO_MANAGER !== undefined)(
    `is made by NetworkManager${NO_MANAGER ? ` (left out: ${NO_MANAGER} is missing)` : ''}`,
    async () => {
      install('networkmanager');
      const etc = join(root, 'etc', 'NetworkManager');
      writeFileSync(join(etc, 'NetworkManager.conf'), '[main]\nplugins=keyfile\nno-auto-default=*\n');
      writeFileSync(join(root, 'bus.conf'), BUS);
      network = await makeNetwork(
        town.dir,
        `mount -t sysfs -o ro none /sys && mount -t tmpfs none /run && mkdir /run/dbus && mount --bind ${etc} /etc/NetworkManager &&
mount -t tmpfs none /var/lib/NetworkManager`,
      );
      run('dbus-daemon', `--config-file=${root}/bus.conf`, '--nofork', '--nopidfile');
      await until('the bus', () => network?.run('ls', '/run/dbus').includes('system_bus_socket') === true);
      run('NetworkManager', '--no-daemon');
      await expectNetwork();
      expect(readFileSync(join(etc, 'system-connections', 'ezvm-win0.nmconnection'), 'utf8')).toContain(
        'multi-queue=true',
      );
    },
  );
});

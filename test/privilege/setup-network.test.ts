import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../launch/plan-builder.ts';
import type { Namespace } from './namespace.ts';
import { MISSING, makeNetwork, type Person, Town } from './people.ts';
import { NO_SYSTEM, System } from './system.ts';

const NETWORKD = ['/usr/lib/systemd/systemd-networkd', '/lib/systemd/systemd-networkd'].find(existsSync);
const NO_NETWORKD = MISSING ?? (NETWORKD ? undefined : 'no systemd-networkd');
const NO_MANAGER =
  MISSING ??
  ['NetworkManager', 'dbus-daemon'].find((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);

const NO_BUS = spawnSync('sh', ['-c', 'command -v dbus-daemon']).status === 0 ? undefined : 'no dbus-daemon';

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

/** Writes a VM with a tap, in a bridge that is not there. */
function needs(): string {
  const tap = '{ type: tap, ifname: win0, queues: 2, model: virtio }';
  return town.built.write('needs.yaml', `template: other\nnetwork: [${tap}, { type: bridge, bridge: ezbr0 }]\n`);
}

/** Has the setup make the files of a network daemon for that VM. */
function install(daemon: string): void {
  mkdirSync(root);
  const words = ['--user', alice.name, '--network', daemon, '--bridge', 'ezbr0', '--root', root, '--apply'];
  const { exit, err } = town.built.run(['setup', 'group', needs(), ...words]);
  expect(exit, err).toBe(0);
}

/** Starts a daemon in the network. */
function run(...argv: string[]): void {
  const [program = '', ...args] = [...(network?.inside ?? []), ...argv];
  daemons.push(spawn(program, args, { env: { PATH: process.env['PATH'] }, stdio: 'ignore' }));
}

async function runBus(): Promise<void> {
  const file = town.built.write('bus.conf', BUS);
  run('dbus-daemon', `--config-file=${file}`, '--nofork', '--nopidfile');
  await until('the bus', () => network?.run('ls', '/run/dbus').includes('system_bus_socket') === true);
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
        `mount -t sysfs -o ro none /sys && mount -t tmpfs none /run && mkdir -p /run/systemd /etc/systemd/network &&
mount --bind ${root}/etc/systemd/network /etc/systemd/network`,
      );
      run(NETWORKD ?? '');
      await expectNetwork();
    },
  );

  const here = [
    { name: 'networkd', argv: [NETWORKD ?? ''], runs: '/run/systemd/netif/state', without: NO_NETWORKD },
    {
      name: 'networkmanager',
      argv: ['NetworkManager', '--no-daemon'],
      runs: '/run/NetworkManager',
      without: NO_MANAGER,
    },
  ].map((each) => {
    const without = NO_SYSTEM ?? each.without ?? NO_BUS;
    return { ...each, without, why: without ? ` (left out: ${without})` : '' };
  });
  it.for(here)(
    'is there at once where $name runs, and gone when undone$why',
    async ({ name, argv, runs, without }, { skip }) => {
      if (without !== undefined) skip();
      mkdirSync(root);
      network = await System.overlay(root, 'with a bridge');
      network.run('sh', '-c', 'mount -o remount,ro /sys && mount -t tmpfs none /run && mkdir /run/dbus /run/systemd');
      await runBus();
      run(...argv);
      await until(name, () => network?.run('sh', '-c', `ls -d ${runs} 2>/dev/null; true`) !== '');
      const ezvm = (...words: string[]): string =>
        network?.run('env', `SUDO_UID=${alice.uid}`, ...town.ezvm('setup', ...words)) ?? '';
      ezvm('group', '--network', name, '--group', town.group, '--bridge', 'ezbr0', '--apply', needs());
      await until('the tap in its bridge', () => /<[^>]*\bUP\b.* master ezbr0 /.test(link('win0')));
      ezvm('undo');
      await until('the end of both', () => link('win0') === '' && link('ezbr0') === '');
      expect(link('br0')).toContain('bridge');
    },
  );

  it.skipIf(NO_MANAGER !== undefined)(
    `is made by NetworkManager${NO_MANAGER ? ` (left out: ${NO_MANAGER} is missing)` : ''}`,
    async () => {
      install('networkmanager');
      const etc = join(root, 'etc', 'NetworkManager');
      writeFileSync(join(etc, 'NetworkManager.conf'), '[main]\nplugins=keyfile\nno-auto-default=*\n');
      network = await makeNetwork(
        town.dir,
        `mount -t sysfs -o ro none /sys && mount -t tmpfs none /run && mkdir /run/dbus && mount --bind ${etc} /etc/NetworkManager &&
mount -t tmpfs none /var/lib/NetworkManager`,
      );
      await runBus();
      run('NetworkManager', '--no-daemon');
      await expectNetwork();
      expect(readFileSync(join(etc, 'system-connections', 'ezvm-win0.nmconnection'), 'utf8')).toContain(
        'multi-queue=true',
      );
    },
  );
});

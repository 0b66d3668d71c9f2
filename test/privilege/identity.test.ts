import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../cli/built.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { Helper } from './helper-lab.ts';
import { MISSING, makeBridge, type Person, Town } from './people.ts';
import { rightsByTable, rightsOf } from './table.ts';

let town: Town;
let member: Person;
let running: { argv: (...words: string[]) => string } | undefined;
beforeAll(() => {
  if (MISSING !== undefined) return;
  town = new Town();
  member = town.add('m', true);
});
afterEach(() => {
  running?.argv('stop', '--force', 'vm');
  running = undefined;
});
afterAll(() => town?.remove());

/** What the processes of the VM that runs should show, by the table. */
function expectTable(
  by: string,
  user: Pick<Person, 'uid' | 'gid' | 'groups'>,
  pids: Record<string, number | undefined>,
): void {
  expect(Object.keys(pids)).toEqual(expect.arrayContaining(['qemu', 'swtpm', 'watcher']));
  for (const [name, pid] of Object.entries(pids))
    expect(rightsOf(readStatus(pid)), `${by}: ${name}`).toEqual(
      rightsByTable(by, name.replace(/-net\d+$/, ''), user, rightsOf(readStatus(process.pid))),
    );
}

function readStatus(pid: number | undefined): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}

function pidsOf(json: string): Record<string, number | undefined> {
  const { pid, sidecars } = JSON.parse(json) as { pid?: number; sidecars: { name: string; pid: number }[] };
  const pids = Object.fromEntries(sidecars.map((sidecar) => [sidecar.name, sidecar.pid]));
  return { qemu: pid, ...pids, watcher: watcherOf(pids['swtpm']) };
}

function watcherOf(pid: number | undefined): number {
  const parent = Number(/^PPid:\s*(\d+)$/m.exec(readStatus(pid))?.[1]);
  expect(readFileSync(`/proc/${parent}/cmdline`, 'utf8').split('\0')[3]).toBe('ezvm-watch');
  return parent;
}

/** What a process has open. */
function openFiles(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

function vmFile(device: string, more = ''): string {
  return `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ntpm: swtpm\ndisks: [{ file: ${device}, bus: sata }]\n${more}`;
}

function makeDisk(): string {
  const file = join(town.dir, `disk-${readdirSync(town.dir).length}.img`);
  writeGuestDisk(file, 'plain');
  return file;
}

function qemuPath(): string {
  return execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();
}

async function guestUp(home: string): Promise<void> {
  const log = join(home, '.local/state/ezvm/vm/serial0.log');
  await until('the guest', () => existsSync(log) && readFileSync(log, 'latin1').includes('EZVM-UP'));
}

describe.skipIf(MISSING !== undefined)(`who runs as what${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  it('a member of the group, whose guest boots from a device and has a tap in a bridge', async () => {
    const device = town.loop(makeDisk(), true);
    const network = await makeBridge(town.dir, member);
    try {
      const file = town.built.write(
        join(member.home, 'vm.yaml'),
        vmFile(device, 'network: [{ type: tap, ifname: tap0 }]\n'),
      );
      const started = town.as(member, town.ezvm('start', file), network.inside);
      expect(started.exit, started.err).toBe(0);
      running = { argv: (...words) => town.as(member, town.ezvm(...words)).out };
      await guestUp(member.home);
      const pids = pidsOf(running.argv('status', '--json', 'vm'));
      expectTable('user', member, pids);
      expect(openFiles(pids['qemu'])).toEqual(expect.arrayContaining([device, '/dev/net/tun']));
      expect(openFiles(pids['swtpm'])).not.toContain(device);
      expect(network.run('ip', '-oneline', 'link', 'show', 'tap0')).toMatch(
        /master br0.*LOWER_UP|LOWER_UP.*master br0/,
      );
    } finally {
      running?.argv('stop', '--force', 'vm');
      running = undefined;
      await network.remove();
    }
  });

  it('nobody who has what the caller had open, under whatever number', () => {
    const secret = town.built.write(join(member.home, 'secret'), 'not for guests');
    const file = town.built.write(join(member.home, 'vm.yaml'), vmFile(town.loop(makeDisk(), true)));
    const shell = 'for fd in 9 17 40 200; do eval "exec $fd<\\"\\$0\\""; done; exec "$@"';
    const started = town.as(member, ['bash', '-c', shell, secret, ...town.ezvm('start', file)]);
    running = { argv: (...words) => town.as(member, town.ezvm(...words)).out };
    expect(started.exit, started.err).toBe(0);
    for (const [name, pid] of Object.entries(pidsOf(running.argv('status', '--json', 'vm'))))
      expect(openFiles(pid), name).not.toContain(secret);
  });

  it('whoever called sudo, whose guest boots from a device of root’s alone', async () => {
    const device = town.loop(makeDisk(), false);
    const sudo = (...words: string[]): Ran => town.sudo(member, ...words);
    const { exit, err } = sudo('start', town.rootsFile('vm.yaml', vmFile(device)));
    expect(exit, err).toBe(0);
    running = { argv: (...words) => sudo(...words).out };
    await guestUp(member.home);
    const pids = pidsOf(sudo('status', '--json', 'vm').out);
    expectTable('sudo', member, pids);
    expect(openFiles(pids['qemu'])).toContain(device);
    expect(openFiles(pids['swtpm'])).not.toContain(device);
  });

  it('who may call the helper, whose guest boots from a device of root’s alone and is on a bridge', async () => {
    const device = town.loop(makeDisk(), false);
    const network = await makeBridge(town.dir, member);
    const helper = new Helper(town);
    try {
      // passt wants a way out.
      network.run('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'br0');
      network.run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
      helper.makeKnown(member);
      helper.allow(member, `program ${qemuPath()}`, `block ${device} rw`, 'bridge br0');
      const file = town.built.write(
        join(member.home, 'vm.yaml'),
        vmFile(device, 'network: [{ type: bridge, bridge: br0 }, passt]\n'),
      );
      const planned = town.as(member, town.ezvm('plan', file), network.inside).out;
      expect(planned).toContain(`have the helper open ${device}`);
      expect(planned).toContain('have the helper make a tap on the bridge br0');
      const started = town.as(member, town.ezvm('start', file), network.inside);
      expect(started.exit, started.err).toBe(0);
      running = { argv: (...words) => town.as(member, town.ezvm(...words)).out };
      await guestUp(member.home);
      const pids = pidsOf(running.argv('status', '--json', 'vm'));
      expectTable('user, by the helper', member, pids);
      expect(openFiles(pids['qemu'])).toEqual(expect.arrayContaining([device, '/dev/net/tun']));
      expect(openFiles(pids['swtpm'])).not.toContain(device);
      const taps = (): string => network.run('ip', '-oneline', 'link', 'show', 'master', 'br0');
      expect(taps()).toMatch(/ezvm0: .*LOWER_UP/);
      running.argv('stop', '--force', 'vm');
      expect(taps()).not.toContain('ezvm');
    } finally {
      running?.argv('stop', '--force', 'vm');
      running = undefined;
      rmSync(join(member.home, '.config'), { recursive: true });
      helper.remove();
      await network.remove();
    }
  });

  it.each([
    ['the policy does not allow the device', (qemu: string) => [`allow any program ${qemu}`], /line: allow uid/],
    ['the policy cannot be understood', () => ['allow nonsense'], /line 1/],
  ])('tells where in the VM file the helper refuses what: %s', (_, lines, sentence) => {
    const device = town.loop(makeDisk(), false);
    const helper = new Helper(town);
    try {
      helper.makeKnown(member);
      helper.policy(...lines(qemuPath()));
      const file = town.built.write(join(member.home, 'vm.yaml'), vmFile(device));
      const { exit, err } = town.as(member, town.ezvm('start', file));
      expect(err).toMatch(sentence);
      expect(err).toContain(`${file}:6:`);
      expect(exit).toBe(3);
    } finally {
      rmSync(join(member.home, '.config'), { recursive: true });
      helper.remove();
    }
  });

  it('root, who asks for it by name', () => {
    const device = town.loop(makeDisk(), false);
    const file = town.built.write('vm.yaml', vmFile(device));
    const root = (...words: string[]): string => town.built.run(words).out;
    running = { argv: root };
    const { exit, err } = town.built.run(['start', file, '--i-know-qemu-runs-as-root']);
    expect(exit, err).toBe(0);
    expectTable('root, by name', { uid: 0, gid: 0, groups: [] }, pidsOf(root('status', '--json', 'vm')));
  });
});

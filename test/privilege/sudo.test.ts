import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { MISSING, type Person, Town } from './people.ts';

let town: Town;
let alice: Person;
let device: string;
beforeAll(() => {
  if (MISSING !== undefined) return;
  town = new Town();
  alice = town.add('a', false);
  const disk = join(town.dir, 'disk.img');
  writeGuestDisk(disk, 'plain');
  device = town.loop(disk, false);
});
afterEach(() => void town?.sudo(alice, 'stop', '--force', 'vm'));
afterAll(() => town?.remove());

function vmFile(disk = device): string {
  return `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\ndisks: [{ file: "${disk}", bus: sata }]\n`;
}

function qemuPid(): number {
  return (JSON.parse(town.sudo(alice, 'status', '--json', 'vm').out) as { pid: number }).pid;
}

describe.skipIf(MISSING !== undefined)(`sudo ezvm${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  it('hands over a device that its user, and so QEMU, cannot open again', () => {
    const { exit, err } = town.sudo(alice, town.rootsFile('vm.yaml', vmFile()));
    expect(exit, err).toBe(0);
    const pid = qemuPid();
    const handed = readdirSync(`/proc/${pid}/fd`).filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === device);
    expect(handed.length).toBeGreaterThan(0);
    for (const path of [device, ...handed.map((fd) => `/proc/${pid}/fd/${fd}`)]) {
      const tried = town.as(alice, ['sh', '-c', 'exec <"$1"', 'sh', path]);
      expect(tried.err).toMatch(/Permission denied/);
      expect(tried.exit).not.toBe(0);
    }
  });

  it('hands over nothing that root’s shell has open, under whatever number', () => {
    const secret = town.rootsFile('secret', 'of root alone');
    const [program = '', ...words] = town.ezvm('start', town.rootsFile('vm.yaml', vmFile()));
    const shell = 'exec 5<"$0"; for fd in 17 40 200; do eval "exec $fd<\\"\\$0\\""; done; exec "$@"';
    const { status, stderr } = spawnSync('bash', ['-c', shell, secret, program, ...words], {
      env: { ...town.built.env, SUDO_UID: String(alice.uid) },
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const pid = qemuPid();
    expect(readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))).not.toContain(secret);
  });

  const keys = spawnSync('keyctl', ['session', '-', 'true']).status === 0;
  it.skipIf(!keys)(
    `hands over no keys of root’s session${keys ? '' : ' (left out: keyctl can make no keyring here)'}`,
    () => {
      const told = join(alice.home, 'told');
      const program = town.built.write(
        join(alice.home, 'qemu'),
        `#!/bin/sh\nkeyctl search @s user ${town.group} >>${told} 2>&1\nexec qemu-system-x86_64 "$@"\n`,
      );
      chmodSync(program, 0o755);
      const settings = town.built.write(join(alice.home, '.config/ezvm/ezvm.yaml'), `qemu: ${program}\n`);
      onTestFinished(() => rmSync(settings));
      town.as(alice, ['touch', told]);
      const words = town.ezvm('start', town.rootsFile('vm.yaml', vmFile()));
      const shell = 'keyctl add user "$0" secret @s >/dev/null; exec "$@"';
      const { status, stderr } = spawnSync('keyctl', ['session', '-', 'sh', '-c', shell, town.group, ...words], {
        env: { ...town.built.env, SUDO_UID: String(alice.uid) },
        encoding: 'utf8',
      });
      expect(status, stderr).toBe(0);
      expect(stderr.match(/Joined session keyring/g)).toHaveLength(1);
      expect(readFileSync(told, 'utf8')).toMatch(/^(keyctl_search: .*not available\n)+$/);
    },
  );

  it('gives QEMU the variables of its user’s login and none of root’s', () => {
    const words = ['start', town.rootsFile('vm.yaml', vmFile())];
    const { exit, err } = town.built.run(words, {
      env: {
        SUDO_UID: String(alice.uid),
        SECRET: 'x',
        LD_PRELOAD: '',
        NODE_OPTIONS: '',
        DISPLAY: ':77',
        LANG: 'C.UTF-8',
      },
    });
    expect(exit, err).toBe(0);
    const environment = readFileSync(`/proc/${qemuPid()}/environ`, 'utf8').split('\0').filter(Boolean);
    expect(environment).toEqual(
      expect.arrayContaining([`HOME=${alice.home}`, `USER=${alice.name}`, 'DISPLAY=:77', 'LANG=C.UTF-8']),
    );
    expect(environment.join()).not.toMatch(/SECRET|SUDO|EZVM|NODE_|root/);
  });

  it('runs what it runs for --user, whoever called', () => {
    const words = ['start', '--user', alice.name, town.rootsFile('vm.yaml', vmFile())];
    expect(town.sudo(undefined, ...words).exit).toBe(0);
    expect(readFileSync(`/proc/${qemuPid()}/status`, 'utf8')).toMatch(new RegExp(`^Uid:\t${alice.uid}\t`, 'm'));
  });

  it.each([
    ['a file of the user’s', () => [town.built.write(join(alice.home, 'vm.yaml'), vmFile())]],
    ['a link to such a file', () => [linkTo(town.built.write(join(alice.home, 'vm.yaml'), vmFile()))]],
    ['--set', () => [town.rootsFile('vm.yaml', vmFile()), '--set', `disks.disk0.file=${device}`]],
    [
      'a path through a directory of the user’s',
      () => {
        town.as(alice, ['ln', '-sf', device, join(alice.home, 'disk')]);
        return [town.rootsFile('vm.yaml', vmFile(join(alice.home, 'disk')))];
      },
    ],
  ])('opens nothing for %s', (_, words) => {
    const { exit, err } = town.sudo(alice, 'start', ...words());
    expect(exit).toBe(3);
    expect(err).toMatch(/cannot be (written|reached): you may not do that/);
    expect(JSON.parse(town.sudo(alice, 'status', '--json', 'vm').out)).toMatchObject({ condition: 'stopped' });
  });

  it('lets go of the device when the start is refused', () => {
    const { exit } = town.sudo(alice, 'start', town.rootsFile('vm.yaml', `${vmFile()}qemu: { args: ["-bogus"] }\n`));
    expect(exit).not.toBe(0);
    expect(() => closeSync(openSync(device, 'r+'))).not.toThrow();
  });

  it.each([
    [[], 'nothing says clearly for whom the VM is'],
    [['--user', 'root'], 'QEMU is not run as root'],
    [['--user', 'nobody-at-all'], 'there is no user nobody-at-all'],
  ])('runs nothing as root unasked: %j', (flags, message) => {
    const { exit, err } = town.sudo(undefined, 'start', town.rootsFile('vm.yaml', vmFile()), ...flags);
    expect(exit).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('--i-know-qemu-runs-as-root');
  });

  it('runs all of it out of reach of root’s terminal, and hears what that hears', async () => {
    const [program = '', ...words] = town.ezvm('start', '--foreground', town.rootsFile('vm.yaml', vmFile()));
    const env = { ...town.built.env, SUDO_UID: String(alice.uid) };
    const terminal = openSync(town.rootsFile('terminal', ''), 'a+');
    onTestFinished(() => closeSync(terminal));
    const root = spawn(program, words, { env, stdio: [terminal, terminal, terminal] });
    let code: number | null | undefined;
    root.once('exit', (exit) => {
      code = exit;
    });
    // A start that is interrupted is undone, and ends otherwise.
    await until('the VM', () => /"condition": "running"/.test(town.sudo(alice, 'status', '--json', 'vm').out));
    const child = readFileSync(`/proc/${root.pid}/task/${root.pid}/children`, 'utf8').trim();
    const [, , , session] = readFileSync(`/proc/${child}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
    expect(session).toBe(child);
    const files = [0, 1, 2].map((fd) => readlinkSync(`/proc/${child}/fd/${fd}`));
    expect(files).toEqual([
      '/dev/null',
      expect.stringMatching(/^(pipe|socket):/),
      expect.stringMatching(/^(pipe|socket):/),
    ]);
    // The first signal asks the guest, the second ends QEMU, a third kills it, or an ezvm that has nothing left to do.
    let asked = 0;
    await until('its end', () => {
      if (asked++ < 3) root.kill('SIGINT');
      return code !== undefined;
    });
    expect([0, 130, 137]).toContain(code);
  });

  it('passes on what is typed at the monitor, and only that', () => {
    expect(town.sudo(alice, 'start', town.rootsFile('vm.yaml', vmFile())).exit).toBe(0);
    const run = (...words: string[]): ReturnType<typeof spawnSync> =>
      spawnSync('sh', ['-c', '"$@"; cat', 'sh', ...town.ezvm(...words)], {
        env: { ...town.built.env, SUDO_UID: String(alice.uid) },
        input: 'info version\n',
      });
    expect(String(run('monitor', 'vm').stdout)).toMatch(/info version[\s\S]*\d+\.\d+\.\d+/);
    expect(String(run('status', 'vm').stdout)).toMatch(/\ninfo version\n$/);
  });

  it('tells what its user’s ezvm tells, in colour where root has a terminal', () => {
    const argv = town.ezvm('start', '--foreground', town.rootsFile('vm.yaml', `${vmFile()}nonsense: 1\n`));
    const line = argv.map((word) => `'${word}'`).join(' ');
    const { stdout, status } = spawnSync('script', ['-qec', line, '/dev/null'], {
      env: { ...town.built.env, SUDO_UID: String(alice.uid), TERM: 'xterm' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(stdout).toContain('nonsense');
    expect(stdout).toContain('\u001b[');
    expect(status).toBe(1);
  });

  it('is not for those who are not root', () => {
    for (const flag of ['--user=root', '--i-know-qemu-runs-as-root'])
      expect(town.as(alice, town.ezvm('start', 'vm.yaml', flag))).toMatchObject({ exit: 2 });
  });
});

function linkTo(path: string): string {
  const link = join(
    town.rootsFile('x', ''),
    '..',
    `link-${readdirSync(join(town.rootsFile('x', ''), '..')).length}.yaml`,
  );
  symlinkSync(path, link);
  return link;
}

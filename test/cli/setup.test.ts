import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Outcome, Program } from '../program.ts';

const VM = `template: other
memory: 2G
disks: [/dev/vg0/win-data, /dev/disk/by-id/ata-X, /dev/mapper/crypt, /dev/loop99]
pci: ["0000:00:00.0", "0000:ff:1f.7"]
usb: [{ vendorid: 0x046d, productid: 0xc52b }]
network: [{ type: tap, ifname: win0, vhost: on }, { type: bridge, bridge: ezbr9 }]
memory-of-no-use: null
`.replace('memory-of-no-use: null\n', '');

let program: Program;
let root: string;
let user: string;
beforeEach(() => {
  program = new Program();
  root = join(program.dir, 'root');
  mkdirSync(join(root, 'etc/udev/rules.d'), { recursive: true });
  writeFileSync(join(program.dir, 'win.yaml'), VM);
  user = execFileSync('getent', ['passwd', 'nobody'], { encoding: 'utf8' }).split(':')[0] ?? '';
});
afterEach(() => program.remove());

function setup(...argv: string[]): Promise<Outcome> {
  return program.run('setup', ...argv, '--root', root);
}

function group(...argv: string[]): Promise<Outcome> {
  return setup('group', 'win.yaml', '--user', user, '--network', 'networkd', ...argv);
}

/** Every file and directory with its mode and bytes. */
function snapshot(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const mode = (statSync(path).mode & 0o7777).toString(8);
      return [path, `${mode} ${entry.isFile() ? readFileSync(path, 'base64') : 'directory'}`];
    }),
  );
}

function installed(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

describe('setup group', () => {
  it('prints what it would install, and installs nothing', async () => {
    const before = snapshot(root);
    const { exit, out, err } = await group();
    expect(exit).toBe(0);
    expect(out).toContain('+++ /etc/udev/rules.d/70-ezvm.rules\n');
    expect(out).toMatch(/^\+SUBSYSTEM=="vfio", TEST==.*, GROUP="ezvm", MODE="0660"$/m);
    expect(err).toContain('nothing is changed yet');
    expect(err).toContain('there is no PCI device 0000:ff:1f.7 here');
    expect(snapshot(root)).toEqual(before);
  });

  it('has the memory of Looking Glass made at each boot, as large as any VM wants it', async () => {
    const screen = (device: string, size: string): string =>
      `template: other\ndisplay: { type: looking-glass, device: ${device}, size: ${size} }\n`;
    writeFileSync(join(program.dir, 'win.yaml'), screen('/dev/kvmfr0', '32M'));
    writeFileSync(join(program.dir, 'more.yaml'), screen('/dev/kvmfr0', '128M'));
    writeFileSync(join(program.dir, 'third.yaml'), screen('/dev/kvmfr2', '64M'));
    expect((await group('more.yaml', 'third.yaml', '--apply')).exit).toBe(0);
    expect(installed('etc/modprobe.d/ezvm-kvmfr.conf')).toContain('\noptions kvmfr static_size_mb=128,1,64\n');
    expect(installed('etc/modules-load.d/ezvm.conf')).toContain('\nkvmfr\n');
    expect(installed('etc/udev/rules.d/70-ezvm.rules')).toContain(
      '\nSUBSYSTEM=="kvmfr", GROUP="ezvm", MODE="0660", TAG+="uaccess"\n',
    );
  });

  it('gives the group each thing that the VMs name, and nothing else', async () => {
    expect((await group('--apply')).exit).toBe(0);
    const given = 'GROUP="ezvm", MODE="0660"';
    const id = (name: string): string => readFileSync(`/sys/bus/pci/devices/0000:00:00.0/${name}`, 'utf8').trim();
    const ids = (key: string): string => `${key}vendor}=="${id('vendor')}", ${key}device}=="${id('device')}"`;
    expect(installed('etc/udev/rules.d/70-ezvm.rules').split('\n').slice(1, -1)).toEqual([
      `SUBSYSTEM=="vfio", TEST=="/sys/kernel/iommu_groups/%k/devices/0000:00:00.0", ${ids('ATTR{[pci/0000:00:00.0]')}, ${given}`,
      `SUBSYSTEM=="vfio-dev", KERNELS=="0000:00:00.0", ${ids('ATTRS{')}, ${given}`,
      `KERNEL=="iommu", SUBSYSTEM=="misc", ${given}`,
      `SUBSYSTEM=="block", SYMLINK=="disk/by-id/ata-X", ${given}`,
      `SUBSYSTEM=="block", KERNEL=="loop99", ${given}`,
      `SUBSYSTEM=="block", ENV{DM_NAME}=="crypt", ${given}`,
      `SUBSYSTEM=="block", ENV{DM_VG_NAME}=="vg0", ENV{DM_LV_NAME}=="win-data", ${given}`,
      `SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="046d", ATTR{idProduct}=="c52b", ${given}, TAG+="uaccess"`,
    ]);
    // 2 GiB for the guest and 1 GiB beside it, in KiB.
    expect(installed('etc/security/limits.d/60-ezvm.conf')).toContain('@ezvm hard memlock 3145728\n');
    expect(installed('etc/modules-load.d/ezvm.conf')).toContain('vfio-pci\ntun\nvhost_net\n');
    expect(installed('etc/sysusers.d/ezvm.conf')).toContain('g ezvm - -\n');
    expect(installed('etc/systemd/network/60-ezvm-win0.netdev')).toContain(
      `Name=win0\nKind=tap\n[Tap]\nUser=${user}\nVNetHeader=yes\n`,
    );
    expect(installed('etc/systemd/network/60-ezvm-ezbr9.netdev')).toContain('Kind=bridge');
  });

  it('makes connections that only root reads where NetworkManager runs the network', async () => {
    expect((await group('--apply', '--network', 'networkmanager', '--bridge', 'br0')).exit).toBe(0);
    const path = 'etc/NetworkManager/system-connections/ezvm-win0.nmconnection';
    expect(statSync(join(root, path)).mode & 0o777).toBe(0o600);
    expect(installed(path)).toMatch(
      /type=tun\ninterface-name=win0\nmaster=br0\nslave-type=bridge\n\[tun\]\nmode=2\nowner=\d+\n/,
    );
  });

  it.each([
    ['network: [{ type: tap, ifname: a/../b }]\n', 'ifname'],
    ['network: [{ type: tap, ifname: averyveryverylongname }]\n', 'is no name of a network interface'],
    ['disks: ["/dev/disk/by-id/x*"]\n', 'cannot be matched by a udev rule'],
    [`disks: ['/dev/mapper/a", RUN+="evil']\n`, 'cannot be matched by a udev rule'],
  ])('refuses what would say something else in a file of root’s: %j', async (vm, message) => {
    writeFileSync(join(program.dir, 'win.yaml'), `template: other\n${vm}`);
    const before = snapshot(root);
    const { exit, err } = await group('--apply');
    expect(exit).toBe(1);
    expect(err).toContain(message);
    expect(snapshot(root)).toEqual(before);
  });

  it.each([
    ['--user', 'root'],
    ['--user', 'no-such-user'],
    ['--group', 'a b'],
    ['--network', 'other'],
  ])('refuses %s %s', async (flag, value) => {
    expect((await setup('group', 'win.yaml', '--user', user, flag, value)).exit).toBe(2);
  });
});

describe('setup undo', () => {
  it('wants a system that is there', async () => {
    const { exit, err } = await program.run('setup', 'undo', '--root', 'no-such-dir');
    expect([exit, err]).toEqual([2, expect.stringContaining('there is no directory')]);
  });

  it('puts everything back to the byte, however often it was installed', async () => {
    const theirs = join(root, 'etc/udev/rules.d/70-ezvm.rules');
    writeFileSync(theirs, '# the administrator’s own\n');
    chmodSync(theirs, 0o640);
    const before = snapshot(root);
    await group('--apply');
    await group('--apply', '--network', 'networkmanager');
    expect(installed('etc/udev/rules.d/70-ezvm.rules')).not.toContain('administrator');
    const { exit, err } = await setup('undo');
    expect([exit, err]).toEqual([0, expect.stringMatching(/^everything is as it was;/)]);
    expect(snapshot(root)).toEqual(before);
    expect((await setup('undo')).err).toBe('there was nothing to undo\n');
  });

  it('takes back what is wanted no more when it is installed anew, and shows that before', async () => {
    await group('--apply');
    writeFileSync(join(program.dir, 'win.yaml'), 'template: other\n');
    expect((await group()).out).toContain('--- /etc/security/limits.d/60-ezvm.conf');
    await group('--apply');
    expect(readdirSync(join(root, 'etc/udev/rules.d'))).toEqual([]);
    expect((await group()).out).toBe('everything is installed already\n');
  });

  it('leaves alone what somebody has changed since', async () => {
    await group('--apply');
    const path = join(root, 'etc/modules-load.d/ezvm.conf');
    writeFileSync(path, 'mine\n');
    const { err } = await setup('undo');
    expect(err).toContain('/etc/modules-load.d/ezvm.conf was changed since');
    expect(readFileSync(path, 'utf8')).toBe('mine\n');
  });

  it.each(['/etc/../../outside', '/../outside', 'outside', '/etc//x/'])(
    'writes nothing outside of the root for a record that names %s',
    async (path) => {
      const outside = join(program.dir, 'outside');
      writeFileSync(outside, 'mine');
      mkdirSync(join(root, 'var/lib/ezvm'), { recursive: true });
      const file = { part: 'group', path, before: null, after: Buffer.from('mine').toString('base64') };
      const record = { format: 2, files: [file], dirs: [], undo: [] };
      writeFileSync(join(root, 'var/lib/ezvm/setup.json'), JSON.stringify(record));
      const { exit, err } = await setup('undo');
      expect(exit).toBe(4);
      expect(err).toContain('setup.json is damaged');
      expect(readFileSync(outside, 'utf8')).toBe('mine');
    },
  );

  it('can undo a setup that was cut short after any change', async () => {
    const before = snapshot(root);
    await group('--apply');
    const record = join(root, 'var/lib/ezvm/setup.json');
    const { files } = JSON.parse(readFileSync(record, 'utf8')) as { files: { path: string }[] };
    for (const { path } of files) {
      await group('--apply');
      rmSync(join(root, path));
      expect((await setup('undo')).exit).toBe(0);
      expect(snapshot(root)).toEqual(before);
    }
  });

  it.each([
    ['etc/sysctl.d', 'etc/udev'],
    ['var/lib', 'var/lib'],
    ['nowhere', 'etc/security'],
  ])('writes nothing through a link that leads out of the root, to %s', async (away, link) => {
    const outside = join(program.dir, 'outside');
    if (away !== 'nowhere') mkdirSync(join(outside, away, 'ezvm'), { recursive: true });
    rmSync(join(root, link), { recursive: true, force: true });
    mkdirSync(dirname(join(root, link)), { recursive: true });
    symlinkSync(join(outside, away), join(root, link));
    const before = existsSync(outside) ? snapshot(outside) : {};
    for (const words of [[], ['--apply']]) {
      const { exit, err } = await group(...words);
      expect(err).toMatch(new RegExp(`error: ${join(root, link)}.* leads out of ${root}`));
      expect(exit).toBe(3);
    }
    expect(existsSync(outside) ? snapshot(outside) : {}).toEqual(before);
  });

  it('follows links that stay below the root', async () => {
    mkdirSync(join(root, 'usr/etc/security'), { recursive: true });
    symlinkSync('../usr/etc/security', join(root, 'etc/security'));
    expect((await group('--apply')).exit).toBe(0);
    expect(readdirSync(join(root, 'usr/etc/security/limits.d'))).toHaveLength(1);
    expect((await setup('undo')).exit).toBe(0);
    expect(readdirSync(join(root, 'usr/etc/security'))).toEqual([]);
  });

  it('replaces no link, which could lead anywhere', async () => {
    const path = join(root, 'etc/modules-load.d/ezvm.conf');
    mkdirSync(dirname(path));
    execFileSync('ln', ['-s', '/etc/passwd', path]);
    const { exit, err } = await group('--apply');
    expect(exit).toBe(3);
    expect(err).toContain('is no ordinary file, so it is not replaced');
  });
});

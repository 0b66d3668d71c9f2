import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Program } from '../program.ts';

let program: Program;
beforeAll(() => {
  program = new Program();
});
afterAll(() => program.remove());

function write(name: string, text: string): string {
  writeFileSync(join(program.dir, name), text);
  return name;
}

async function argv(file: string): Promise<string[]> {
  const { exit, out, err } = await program.run('args', '--json', file);
  expect(err.includes('error') ? err : exit).toBe(0);
  return (JSON.parse(out) as { qemu: string[] }).qemu;
}

describe('what users reported', () => {
  it('leaves CD-ROMs on SATA where a template puts disks on SCSI, whose driver Windows has yet to read from one', async () => {
    const file = write('setup.yaml', 'template: windows-11\ndisks: [a.raw, { type: cdrom, file: setup.iso }]\n');
    const devices = (await argv(file)).filter((word) => word.includes('"disk'));
    expect(devices.some((word) => word.includes('"scsi-hd"'))).toBe(true);
    expect(devices.some((word) => word.includes('"ide-cd"'))).toBe(true);
    expect(devices.some((word) => word.includes('"scsi-cd"'))).toBe(false);
  });

  it('shows a VM that is the same machine when it is read again', async () => {
    const file = write('m.yaml', 'template: linux\nprofiles: [headless]\nusb: [mouse]\n');
    mkdirSync(join(program.dir, 'again'));
    const { out } = await program.run('show', file);
    const again = write('again/m.yaml', out);
    expect(await argv(again)).toEqual(await argv(file));
  });

  it('takes no VM file for a template of its own, wherever it lies', async () => {
    mkdirSync(join(program.dir, 'templates', 'os'), { recursive: true });
    const file = write('templates/os/linux.yaml', 'template: linux\ndisks: [/dev/sda]\nshares: [/etc]\n');
    const { out } = await program.run('check', '--untrusted', file);
    expect(out).toContain('device    /dev/sda  (./templates/os/linux.yaml:2:9)');
    expect(out).toContain('path      /etc  (./templates/os/linux.yaml:3:10)');
    write('templates/os/linux.yaml', 'template: linux\nmemry: 1G\n');
    expect((await program.run('check', file)).err).toContain('2 | memry: 1G');
  });

  it('takes flags before the file', async () => {
    const file = write('c.yaml', 'template: linux\nmemry: 1G\n');
    for (const flags of [['--foreground'], ['-f'], ['--set', 'cpu=2']])
      expect((await program.run(...flags, file)).err).toContain('did you mean memory?');
  });

  it('refuses -daemonize, which would hide QEMU from it', async () => {
    const file = write('d.yaml', 'template: linux\nqemu: { args: ["-daemonize"] }\n');
    const { exit, err } = await program.run('args', file);
    expect([exit, err]).toEqual([1, expect.stringMatching(/^d\.yaml:2:16 {2}qemu\.args: -daemonize/)]);
  });

  it('tells that there can be no run directories', async () => {
    const root = join(program.dir, 'home', 'run', 'ezvm');
    mkdirSync(join(root, '..'), { recursive: true });
    // Root may look at anything, but a file is no directory for anybody.
    writeFileSync(root, '');
    expect(await program.run('status').catch(String)).toMatchObject({
      exit: 3,
      err: expect.stringContaining('is not a directory'),
    });
    rmSync(root);
  });

  it('says which VM runs under the name of another file', async () => {
    const run = join(program.dir, 'home', 'run', 'ezvm', 'same');
    mkdirSync(run, { recursive: true, mode: 0o700 });
    const plan = { format: 1, vm: { name: 'same', file: '/elsewhere/same.yaml' }, qemu: { options: [], argv: [] } };
    writeFileSync(join(run, 'plan.json'), JSON.stringify(plan));
    const file = write('same.yaml', 'template: linux\n');
    const { exit, err } = await program.run('stop', '--force', file);
    expect([exit, err]).toEqual([
      4,
      expect.stringContaining('was started from /elsewhere/same.yaml, not from same.yaml'),
    ]);
  });

  it('refuses to keep sockets where directories cannot be made', async () => {
    const file = write('p.yaml', 'template: linux\n');
    const env = program.env as Record<string, string>;
    const before = env['XDG_STATE_HOME'] ?? '';
    env['XDG_STATE_HOME'] = '/proc/1';
    try {
      expect(await program.run('args', file)).toMatchObject({ exit: 1, err: expect.stringContaining("kernel's own") });
    } finally {
      env['XDG_STATE_HOME'] = before;
    }
  });
});

import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CAN, makeDisk, makeLab, type PrivLab, tool, WHY } from './lab.ts';

let lab: PrivLab;
let disk: ReturnType<typeof makeDisk> = null;
beforeAll(async () => {
  if (!CAN) return;
  lab = await makeLab();
  disk = makeDisk(lab, 'disk', 'only root reads this');
});
afterAll(async () => {
  disk?.detach();
  await lab?.sweep();
});
beforeEach(() => {
  if (!CAN) return;
  const { uid } = lab.member;
  lab.policy(
    [`any program ${lab.witness}`, `uid:${uid} block /dev/disk rw`, `any memlock 64K`, 'any bridge br-*']
      .map((rule) => `allow ${rule}\n`)
      .join(''),
  );
});

/** The lines of the witness as a map of what stands before the first blank or colon. */
function fields(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').map((line) => {
      const [, key = '', value = ''] = /^([^:\t ]+):?\s*(.*)$/.exec(line) ?? [];
      return [key, value.replaceAll(/\s+/g, ' ').trim()];
    }),
  );
}

const run = (...options: string[]) => ['run', '--vm=win', ...options, '--', lab.witness];

describe.skipIf(!CAN)(`what the helper runs${WHY}`, () => {
  it('has the rights of the table in docs/helper.md and no others', () => {
    const { uid, gid, ids } = lab.member;
    const { stdout, stderr, code } = lab.run([...run(), 'status', 'root']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const groups = [...new Set(ids.split(',').slice(2))].map(Number).toSorted((a, b) => a - b);
    const own: Record<string, string> = { UID: String(uid), GID: String(gid), GROUPS: groups.join(' ') };
    const docs = readFileSync(new URL('../../docs/helper.md', import.meta.url), 'utf8');
    const table = [...docs.matchAll(/^\| `(\w+)` \| `([^`]+)` \|$/gm)].map(([, key = '', value = '']) => [
      key,
      value.replaceAll(/[A-Z]{3,}/g, (word) => own[word] ?? word),
    ]);
    expect(table.length).toBeGreaterThan(8);
    expect(fields(stdout)).toMatchObject(Object.fromEntries(table));
    expect(stdout.match(/^try .*$/gm)).toEqual([
      'try setuid EPERM',
      'try seteuid EPERM',
      'try setgid EPERM',
      'try setgroups EPERM',
      'try mount EPERM',
      'try chroot EPERM',
      'try unshare EPERM',
      'try memlock EPERM',
      'try shadow EACCES',
      'try init EPERM',
    ]);
  });

  it('has the caller’s descriptors 0 to 2 and what it was handed, and nothing else', () => {
    const actions = ['open:3,0,/etc/passwd', 'open:4,0,/etc/group', 'open:9,0,/', 'open:200,0,/dev/null'];
    const { stdout } = lab.run([...run('--keep-fd=4', '--keep-fd=200'), 'descriptors'], { actions });
    expect(stdout.match(/^fd \d+/gm)).toEqual(['fd 0', 'fd 1', 'fd 2', 'fd 4', 'fd 200']);
    expect(stdout).toMatch(/^fd 4 other .*\/etc\/group$/m);
  });

  it('finds limits, umask, folder, signals and environment as the caller left them', () => {
    const actions = ['umask:027', 'cd:/usr', 'limit:1,4096,8192', 'limit:7,300,301', 'limit:4,0', 'limit:0,100,200'];
    const asks = ['limits', 'where', 'environment', 'status'];
    const { stdout } = lab.run([...run(), ...asks], {
      actions: [...actions, 'env:A=b c', 'env:LD_PRELOAD=x', 'ignore', 'mask'],
    });
    const found = fields(stdout.replaceAll(/^(Max [a-z ]+[a-z]) {2,}/gm, (_, name) => `${name.replaceAll(' ', '-')} `));
    expect(found['Max-file-size']).toMatch(/^4096 8192 /);
    expect(found['Max-open-files']).toMatch(/^300 301 /);
    expect(found['Max-core-file-size']).toMatch(/^0 0 /);
    expect(found['Max-cpu-time']).toMatch(/^100 200 /);
    expect(found['Umask']).toBe('0027');
    expect(found['cwd']).toBe('/usr');
    expect(found['timer']).toBe('0');
    expect(found['pdeathsig']).toBe('0');
    expect(found['dumpable']).toBe('1');
    expect(found['SigBlk']).toBe('fffffffe7ffbfeff'); // all but SIGKILL, SIGSTOP and the C library's two
    expect(found['SigIgn']).toBe('000000007ffbfeff');
    // The dynamic loader takes what concerns it from a setuid program, and the helper nothing.
    expect(stdout.match(/^env .*$/gm)?.toSorted()).toEqual(['env A=b c', expect.stringMatching(/^env PATH=/)]);
  });

  it('may lock as much memory as the policy says and was asked for', () => {
    const actions = ['limit:8,4096,65536'];
    const { stdout, stderr } = lab.run([...run('--memlock=65536'), 'limits'], { actions });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Max locked memory +65536 +65536 /m);
    expect(lab.run([...run('--memlock=4096'), 'limits'], { actions }).stdout).toMatch(
      /^Max locked memory +4096 +65536 /m,
    );
  });

  it('cannot be kept from its work by signals of the caller’s, until it is he', async () => {
    let refused = 0;
    const count = lab.path('out', 'storm');
    for (let i = 0; i < 20; i++) {
      // Signals at once mostly end it before it is root; those that wait for that moment meet it there.
      const storm = i % 2 === 0 ? 'storm' : 'storm:refused';
      writeFileSync(count, '');
      chmodSync(count, 0o666);
      const ended = lab.run(run(...(disk ? ['--block=20:/dev/disk:rw'] : [])), {
        actions: [`open:3,1,${count}`, storm],
      });
      // Before it is root and after it is the caller again, the caller may end it: then nothing was done, or all was.
      if (ended.code === 0) expect(ended.stdout).toContain('witness ends');
      else expect(ended.signal).not.toBe(null);
      refused += Number(readFileSync(count, 'utf8'));
    }
    expect(refused).toBeGreaterThan(0);
    expect(lab.run([...run()]).code).toBe(0);
  });

  it('ends with its parent when asked to', async () => {
    for (const [options, signal] of [
      [['--die-with-parent'], '15'],
      [[], '0'],
    ] as const)
      expect(fields(lab.run([...run(...options), 'where']).stdout)['pdeathsig']).toBe(signal);
  });
});

describe.skipIf(!CAN)(`a disk that only root may open${WHY}`, () => {
  it('is read and written through the descriptor, and cannot be opened again', ({ skip }) => {
    if (!disk) return skip('no loop device can be made here');
    const asks = ['read:20:4096', 'write:20:written by the member', 'read:20:4096', 'reopen:20', `node:${disk.device}`];
    const { stdout, stderr } = lab.run([...run('--block=20:/dev/disk:rw'), ...asks, 'descriptors']);
    expect(stderr).toBe('');
    expect(stdout).toContain('read 20 only root reads this\n');
    expect(stdout).toContain('write 20 done\n');
    expect(stdout).toContain('read 20 written by the member\n');
    expect(stdout).toContain('reopen 20 EACCES\n');
    expect(stdout).toContain('reopen-path 20 EACCES\n');
    expect(stdout).toContain(`node ${disk.device} EACCES\n`);
    expect(readFileSync(lab.path('disk.img'), 'latin1').slice(0, 21)).toBe('written by the member');
    expect(stdout.match(/^fd \d+/gm)).toEqual(['fd 0', 'fd 1', 'fd 2', 'fd 20']);
  });

  it('is opened for reading alone, and without the page cache, when that is asked for', ({ skip }) => {
    if (!disk) return skip('no loop device can be made here');
    const reading = lab.run([...run('--block=255:/dev/disk:ro'), 'write:255:x', 'descriptors']);
    expect(reading.stdout).toContain('write 255 EBADF\n');
    expect(reading.stdout).toMatch(/^fd 255 block 100000 /m);
    const direct = lab.run([...run('--block=3:/dev/disk:rw+direct'), 'read:3:4096', 'descriptors']);
    expect(direct.stdout).toMatch(/^fd 3 block 140002 /m);
    expect(direct.stdout).toContain('read 3 written');
  });

  it('is a real guest’s, in QEMU’s whole sandbox', async ({ skip }) => {
    if (!disk) return skip('no loop device can be made here');
    const qemu = tool('sh', ['-c', 'command -v qemu-system-x86_64']).trim();
    lab.policy(`allow any program ${qemu}\nallow any block /dev/disk rw\n`);
    const args = ['-nodefaults', '-display', 'none', '-S', '-machine', 'q35,accel=tcg', '-qmp', 'stdio'];
    const sandbox = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny';
    const drive = { driver: 'host_device', 'node-name': 'd0', filename: '/dev/fdset/1', cache: { direct: true } };
    args.push('-sandbox', sandbox, '-add-fd', 'fd=20,set=1', '-blockdev', JSON.stringify(drive));
    args.push('-device', 'virtio-blk-pci,drive=d0');
    const child = lab.start(['run', '--vm=win', '--block=20:/dev/disk:rw+direct', '--', qemu, ...args]);
    let said = '';
    child.stderr?.on('data', (text) => {
      said += text;
    });
    for (const command of ['qmp_capabilities', 'query-block']) child.stdin?.write(`{"execute":"${command}"}\n`);
    for await (const text of child.stdout ?? []) {
      said += text;
      if (said.includes('"/dev/fdset/1"') || said.includes('"error"')) break;
    }
    const status = fields(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
    const exit = once(child, 'exit');
    child.stdin?.write('{"execute":"quit"}\n');
    await exit;
    expect(said).toContain('"ro": false');
    expect(status).toMatchObject({ CapEff: '0'.repeat(16), CapBnd: '0'.repeat(16), NoNewPrivs: '1', Seccomp: '2' });
    expect(status['Uid']).toBe(Array(4).fill(lab.member.uid).join(' '));
  });

  it('is one program’s at a time', async ({ skip }) => {
    if (!disk) return skip('no loop device can be made here');
    const first = lab.start([...run('--block=20:/dev/disk:rw'), 'wait']);
    await once(first.stdout as NodeJS.ReadableStream, 'data');
    for (const mode of ['ro', 'rw']) {
      const second = lab.run([...run(`--block=20:/dev/disk:${mode}`)]);
      expect(second.stderr).toContain('/dev/disk is in use');
      expect(second.code).toBe(75);
    }
    first.stdin?.end();
    await once(first, 'exit');
    expect(lab.run([...run('--block=20:/dev/disk:rw')]).code).toBe(0);
    expect(lab.run([...run('--block=20:/dev/disk:rw', '--block=21:/dev/disk:ro')]).code).toBe(75);
  });

  it('is told to the log, and so is a refusal', async ({ skip }) => {
    if (!disk) return skip('no loop device can be made here');
    lab.run([...run('--block=20:/dev/disk:rw')]);
    lab.run([...run('--block=20:/dev/other:rw')]);
    const who = `uid=${lab.member.uid} gid=${lab.member.gid} vm=win run: `;
    const refusal = new RegExp(`^<84>.*${who}refused: block device /dev/other: the policy does not allow it`, 'm');
    await expect.poll(lab.logged, { timeout: 30_000 }).toMatch(refusal);
    const log = lab.logged();
    expect(log).toMatch(
      new RegExp(`^<85>ezvm-priv\\[\\d+\\]: ${who}granted block /dev/disk \\(7:\\d+\\) rw as descriptor 20$`, 'm'),
    );
    expect(log).toMatch(new RegExp(`${who}runs ${lab.witness}$`, 'm'));
  });
});

describe.skipIf(!CAN)(`check${WHY}`, () => {
  it('lists the lines of the policy that are about the caller', () => {
    lab.policy(
      `allow any program /usr/bin/qemu-*\nallow uid:${lab.stranger.uid} block /dev/x rw\nallow any block /dev/y ro\ndeny any block /dev/z
allow any bridge br0 vhost\nallow any pci 0000:01:00.0 10de:2684 bind boot-display\nallow user:no-such-user memlock 1G\n`,
    );
    const { stdout, stderr, code } = lab.run(['check']);
    expect(stdout).toBe(
      [
        'allow\tprogram\t/usr/bin/qemu-*',
        'allow\tblock\t/dev/y\tro',
        'deny\tblock\t/dev/z',
        'allow\tbridge\tbr0\tvhost',
        'allow\tpci\t0000:01:00.0\tbind\tboot-display\n',
      ].join('\n'),
    );
    expect(stderr).toMatch(/line 7 allows somebody whom/);
    expect(code).toBe(0);
  });

  it('rules on each grant, one line each, and does nothing', () => {
    const { stdout, stderr, code } = lab.run([
      'check',
      '--block=20:/dev/none:ro',
      '--memlock=4096',
      '--tap=21:br-none',
      '--',
      lab.witness,
    ]);
    expect(stderr).toBe('');
    expect(stdout.split('\n').map((each) => each.split('\t').slice(0, 3))).toEqual([
      ['allowed', lab.witness],
      ['refused', '--block=20:/dev/none:ro', '77'],
      ['allowed', '--memlock=4096'],
      ['refused', '--tap=21:br-none', '69'],
      [''],
    ]);
    expect(code).toBe(77);
  });
});

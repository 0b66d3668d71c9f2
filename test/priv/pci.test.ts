import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakePci } from './fake-pci.ts';
import { CAN, makeDisk, makeLab, type PrivLab, tool, type User, WHY } from './lab.ts';

const CARD = '0000:01:00.0';
const SOUND = '0000:01:00.1';
/** Another part of the card, for tests that want one in its group. */
const PART = '0000:01:00.3';
const GROUP = '7';

let lab: PrivLab;
let pci: FakePci;
const children: ChildProcess[] = [];
beforeAll(async () => {
  if (CAN) lab = await makeLab();
});
afterAll(() => lab?.sweep());
beforeEach(() => {
  if (!CAN) return;
  pci = new FakePci(lab);
  pci.add(CARD);
  pci.add(SOUND, { ids: '10de:22ba', class: '040300', driver: 'snd_hda_intel', group: '8' });
  allow(`pci ${CARD} 10de:2684 bind`, `pci ${SOUND} 10de:22ba bind`);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.stdin?.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  pci?.end();
});

function allow(...rules: string[]): void {
  lab.policy([`program ${lab.witness}`, ...rules].map((rule) => `allow any ${rule}\n`).join(''));
}

const run = (...options: string[]) => ['run', '--vm=win', ...options, '--', lab.witness];
/** Whether somebody can open the group's node; its owner, who could let anybody in again, is always root. */
function canOpen(user = lab.member, group = GROUP): boolean {
  const file = lab.path('dev/vfio', group);
  expect(statSync(file).uid).toBe(0);
  const { stdout } = spawnSync(
    lab.path('bin/launch'),
    [`become:${user.ids}`, '--', lab.witness, `node:${file}`, `chmod:${file}`],
    {
      encoding: 'utf8',
    },
  );
  expect(stdout).toContain('chmod EPERM');
  return stdout.includes(' done');
}
const record = (group = GROUP) => readFileSync(lab.path('run/ezvm-priv', `group-${group}`), 'utf8').trim();

/** A VM that runs until its input ends. */
async function startVm(options: string[], user?: User): Promise<ChildProcess> {
  const child = lab.start([...run(...options), 'descriptors', 'wait'], user ? { user } : {});
  children.push(child);
  let said = '';
  child.stderr?.on('data', (text) => {
    said += text;
  });
  for await (const text of child.stdout ?? []) {
    said += text;
    if (said.includes('waits')) return Object.assign(child, { said });
  }
  throw new Error(said);
}

async function stop(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit');
  if (signal) child.kill(signal);
  child.stdin?.end();
  await exit;
}

describe.skipIf(!CAN)(`a PCI device (in a tree like sysfs)${WHY}`, () => {
  it('is taken from its driver for a VM, and given back after it', async () => {
    const vm = await startVm([`--pci=${CARD}`]);
    expect(pci.driver(CARD)).toBe('vfio-pci');
    expect(canOpen()).toBe(true);
    expect(canOpen(lab.stranger)).toBe(false);
    expect(statSync(lab.path('run/ezvm-priv')).mode & 0o777).toBe(0o700);
    expect(record()).toMatch(
      new RegExp(`^uid ${lab.member.uid}\nvm win\nprocess ${vm.pid} \\d+\nnode 600\ndevice ${CARD} nouveau -$`),
    );

    const early = await lab.call(['release']);
    expect(early.stderr).toContain(`VM win still runs (process ${vm.pid})`);
    expect(early.code).toBe(75);
    expect(pci.driver(CARD)).toBe('vfio-pci');

    await stop(vm);
    expect(await lab.call(['release'])).toMatchObject({
      code: 0,
      stdout: `released\twin\t${CARD}\tnouveau\n`,
      stderr: '',
    });
    expect(pci.driver(CARD)).toBe('nouveau');
    expect(pci.override(CARD)).toBe('(null)');
    expect(record()).toBe('');
    expect(pci.done).toEqual([
      `unbind ${CARD} nouveau`,
      `bind ${CARD} vfio-pci`,
      `unbind ${CARD} vfio-pci`,
      `bind ${CARD} nouveau`,
    ]);
    expect(await lab.call(['release'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    await expect.poll(lab.logged, { timeout: 30_000 }).toMatch(/gave pci 0000:01:00.0 back$/m);
    expect(lab.logged()).toMatch(/granted pci 0000:01:00.0 10de:2684 of driver nouveau, group 7, by node$/m);
  });

  it('is given back when QEMU was killed, once, by whom it was given to, or by root', async () => {
    const vm = await startVm([`--pci=${CARD}`, `--pci=${SOUND}`]);
    await stop(vm, 'SIGKILL');
    // The stranger is made a member for this, by his groups alone.
    const other = { ...lab.stranger, ids: `${lab.stranger.ids},${statSync(lab.helper).gid}` };
    expect(await lab.call(['release'], { user: other })).toMatchObject({ code: 0, stdout: '' });
    expect(await lab.call(['release', '--vm=other'])).toMatchObject({ code: 0, stdout: '' });
    expect(pci.driver(CARD)).toBe('vfio-pci');
    expect(pci.driver(SOUND)).toBe('vfio-pci');
    const root = await lab.call(['release'], { user: { name: 'root', uid: 0, gid: 0, ids: '0,0' } });
    expect(root.stdout.trim().split('\n').toSorted()).toEqual([
      `released\twin\t${CARD}\tnouveau`,
      `released\twin\t${SOUND}\tsnd_hda_intel`,
    ]);
    expect([pci.driver(CARD), pci.driver(SOUND)]).toEqual(['nouveau', 'snd_hda_intel']);
  });

  it.each(['an end', 'SIGKILL'])('is given back after %s by a helper that waits without rights', async (end) => {
    const vm = await startVm([`--pci=${CARD}`]);
    const waiter = lab.start(['release', '--vm=win', '--wait']);
    let said = '';
    waiter.stdout?.on('data', (text) => {
      said += text;
    });
    const gone = once(waiter, 'close');
    const status = () => readFileSync(`/proc/${waiter.pid}/status`, 'utf8');
    const { uid, gid } = lab.member;
    while (!status().includes(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}\n`) || !status().includes('(sleeping)'))
      await setImmediate();
    expect(status()).toContain(`Gid:\t${gid}\t${gid}\t${gid}\t${gid}\n`);
    expect(status()).toMatch(/CapInh:\t0+\nCapPrm:\t0+\nCapEff:\t0+\n/);
    // Neither root nor his own to look into, and with nothing open but an end to wait for.
    const looks = spawnSync(lab.path('bin/launch'), [
      `become:${lab.member.ids}`,
      '--',
      '/bin/ls',
      `/proc/${waiter.pid}/fd`,
    ]);
    expect(looks.status).not.toBe(0);
    expect(readdirSync(`/proc/${waiter.pid}/fd`).map((fd) => readlinkSync(`/proc/${waiter.pid}/fd/${fd}`))).toEqual(
      expect.not.arrayContaining([expect.stringContaining('group-')]),
    );
    expect(pci.driver(CARD)).toBe('vfio-pci');
    await stop(vm, end === 'SIGKILL' ? 'SIGKILL' : undefined);
    expect(await gone).toEqual([0, null]);
    expect(said).toBe(`released\twin\t${CARD}\tnouveau\n`);
    expect([pci.driver(CARD), record()]).toEqual(['nouveau', '']);
  });

  it('is not waited for by others, nor by root', async () => {
    await startVm([`--pci=${CARD}`]);
    const other = { ...lab.stranger, ids: `${lab.stranger.ids},${statSync(lab.helper).gid}` };
    expect(await lab.call(['release', '--wait'], { user: other })).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const root = await lab.call(['release', '--wait'], { user: { name: 'root', uid: 0, gid: 0, ids: '0,0' } });
    expect(root).toMatchObject({ code: 64, stdout: '' });
    expect(pci.driver(CARD)).toBe('vfio-pci');
  });

  it('is taken over by the next start, which still knows the driver it had', async () => {
    await stop(await startVm([`--pci=${CARD}`]), 'SIGKILL');
    const next = await startVm([`--pci=${CARD}`]);
    expect(record()).toContain(`process ${next.pid} `);
    expect(pci.done).toEqual([`unbind ${CARD} nouveau`, `bind ${CARD} vfio-pci`]);
    await stop(next);
    expect((await lab.call(['release'])).stdout).toContain(`${CARD}\tnouveau`);
    expect(pci.driver(CARD)).toBe('nouveau');
  });

  it('is one VM’s at a time, and another user’s after it', async () => {
    const other = { ...lab.stranger, ids: `${lab.stranger.ids},${statSync(lab.helper).gid}` };
    const vm = await startVm([`--pci=${CARD}`]);
    const second = await lab.call(run(`--pci=${CARD}`), { user: other });
    expect(second.stderr).toMatch(/IOMMU group 7 belongs to VM win of uid \d+, which runs/);
    expect(second.code).toBe(75);
    expect(canOpen()).toBe(true);
    expect(canOpen(other)).toBe(false);
    await stop(vm);
    await startVm([`--pci=${CARD}`], other);
    expect(canOpen(other)).toBe(true);
    expect(canOpen()).toBe(false);
    expect((await lab.call(['release'])).code).toBe(0);
    expect(canOpen(other)).toBe(true);
  });

  it('that was VFIO’s already keeps its driver, and only its node is given', async () => {
    pci.add('0000:02:00.0', { driver: 'vfio-pci', group: '9' });
    allow('pci 0000:02:00.0 10de:2684');
    const vm = await startVm(['--pci=0000:02:00.0']);
    expect(canOpen(lab.member, '9')).toBe(true);
    await stop(vm);
    expect((await lab.call(['release'])).stdout).toBe('released\twin\t0000:02:00.0\tvfio-pci\n');
    expect(canOpen(lab.member, '9')).toBe(false);
    expect(statSync(lab.path('dev/vfio/9')).mode & 0o777).toBe(0o600);
    expect(pci.done).toEqual([]);
  });

  it('that had no driver has none again', async () => {
    pci.add('0000:02:00.0', { driver: null, group: '9' });
    allow('pci 0000:02:00.0 10de:2684');
    await stop(await startVm(['--pci=0000:02:00.0']));
    expect((await lab.call(['release'])).stdout).toBe('released\twin\t0000:02:00.0\t-\n');
    expect(pci.driver('0000:02:00.0')).toBe(null);
    expect(pci.override('0000:02:00.0')).toBe('(null)');
  });

  it('is handed over by its own node where the kernel has iommufd', async () => {
    pci.addIommufd();
    const vm = await startVm([`--pci=30:${CARD}`, '--iommufd=31']);
    expect((vm as unknown as { said: string }).said).toMatch(/^fd 30 char \d+ 1:7 [\s\S]*^fd 31 char \d+ 1:5 /m);
    expect(canOpen()).toBe(false);
    expect(record()).toContain('node -');
    await expect.poll(lab.logged, { timeout: 30_000 }).toContain('by descriptor');
    await stop(vm);
    expect((await lab.call(['release'])).code).toBe(0);
    expect(pci.driver(CARD)).toBe('nouveau');
  });

  it('is not given back while somebody has its own node open', async () => {
    pci.addIommufd();
    await stop(await startVm([`--pci=30:${CARD}`, '--iommufd=31']));
    const holder = spawn('sh', ['-c', 'exec 5<>/dev/full; echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(holder);
    await once(holder.stdout, 'data');
    const { code, stderr } = await lab.call(['release']);
    expect(stderr).toContain(`in use by cat (process ${holder.pid})`);
    expect(code).toBe(75);
    expect(pci.driver(CARD)).toBe('vfio-pci');
    await stop(holder);
    expect((await lab.call(['release'])).code).toBe(0);
  });

  it('goes as a whole group, and only with all that the host drives in it', async () => {
    pci.add('0000:01:00.2', { ids: '10de:0001', driver: 'e1000e' });
    const alone = await lab.call(run(`--pci=${CARD}`));
    expect(alone.stderr).toContain('shares IOMMU group 7 with 0000:01:00.2, which the host uses through driver e1000e');
    expect(alone.code).toBe(77);
    allow(`pci ${CARD} 10de:2684 bind`, 'pci 0000:01:00.2 10de:0001 bind');
    const vm = await startVm([`--pci=${CARD}`, '--pci=0000:01:00.2']);
    expect(record()).toMatch(/device 0000:01:00.0 nouveau -\ndevice 0000:01:00.2 e1000e -$/);
    await stop(vm);
    await lab.call(['release']);
    expect([pci.driver(CARD), pci.driver('0000:01:00.2')]).toEqual(['nouveau', 'e1000e']);
  });

  it('may share its group with a port of PCI Express and what has no driver', async () => {
    pci.add('0000:00:1c.0', { class: '060400', driver: 'pcieport' });
    pci.add('0000:01:00.3', { driver: null });
    expect((await lab.call(run(`--pci=${CARD}`))).code).toBe(0);
    pci.add('0000:00:1f.0', { class: '060100', driver: 'nvme' });
    await lab.call(['release']);
    expect((await lab.call(run(`--pci=${CARD}`))).stderr).toContain('shares IOMMU group 7 with 0000:00:1f.0');
  });

  it('shares its group with a device of VFIO’s only for whom the policy allows that too', async () => {
    pci.add(PART, { ids: '10de:0001', driver: 'vfio-pci' });
    const unknown = await lab.call(run(`--pci=${CARD}`));
    expect(unknown.stderr).toContain(
      `shares IOMMU group 7 with ${PART}, which is bound to vfio-pci and would be open to you too; if a VM left it so, ` +
        'have its user run: ezvm-priv release; or ask the administrator for the line: ' +
        `allow uid:${lab.member.uid} pci ${PART} 10de:0001`,
    );
    expect(unknown.code).toBe(77);
    allow(`pci ${CARD} 10de:2684 bind`, `pci ${PART} 10de:0002`);
    expect((await lab.call(run(`--pci=${CARD}`))).code).toBe(77);
    expect(pci.done).toEqual([]);
    allow(`pci ${CARD} 10de:2684 bind`, `pci ${PART} 10de:0001`);
    expect((await lab.call(run(`--pci=${CARD}`))).code).toBe(0);
  });

  it.each(['vfio-pci', 'pci-stub', null])('shares its group with no denied device, of driver %s', async (driver) => {
    pci.add(PART, { ids: '10de:0001', driver });
    lab.policy(
      `allow any program ${lab.witness}\nallow any pci ${CARD} 10de:2684 bind\n` +
        `allow any pci ${PART} 10de:0001\ndeny any pci ${PART}\n`,
    );
    const { code, stderr } = await lab.call(run(`--pci=${CARD}`));
    expect(stderr).toContain(
      `shares IOMMU group 7 with ${PART}, which line 4 of the policy denies; put the card in another slot`,
    );
    expect(code).toBe(77);
    expect(pci.done).toEqual([]);
  });

  it('is looked at again with its group once nobody else can change that', async () => {
    pci.add(PART, { ids: '10de:0001', driver: null });
    mkdirSync(lab.path('run/ezvm-priv'), { mode: 0o700 });
    const file = lab.path('run/ezvm-priv/group-7');
    writeFileSync(file, '', { mode: 0o600 });
    const other = spawn('flock', [file, 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(other);
    await once(other.stdout, 'data');
    const start = lab.start(run(`--pci=${CARD}`));
    children.push(start);
    let said = '';
    start.stderr?.on('data', (text) => {
      said += text;
    });
    const fds = `/proc/${start.pid}/fd`;
    const waits = () => spawnSync('ls', ['-l', fds], { encoding: 'utf8' }).stdout.includes('group-7');
    while (start.exitCode === null && !waits()) await setImmediate();
    symlinkSync('../../drivers/vfio-pci', lab.path('sys/bus/pci/devices', PART, 'driver'));
    const gone = once(start, 'close');
    await stop(other);
    expect(await gone).toEqual([77, null]);
    expect(said).toContain(`with ${PART}, which is bound to vfio-pci`);
    expect(pci.done).toEqual([]);
  });

  it('is not left to an earlier VM’s user while more of its group is taken', async () => {
    const other = { ...lab.stranger, ids: `${lab.stranger.ids},${statSync(lab.helper).gid}` };
    pci.add(PART, { ids: '10de:0001', driver: null });
    allow(`pci ${CARD} 10de:2684 bind`, `pci ${PART} 10de:0001`);
    await stop(await startVm([`--pci=${CARD}`]));
    expect(canOpen()).toBe(true);
    const next = lab.start([...run(`--pci=${CARD}`, `--pci=${PART}`), 'wait'], { user: other });
    children.push(next);
    const chosen = () => readFileSync(lab.path('sys/bus/pci/devices', PART, 'driver_override'), 'utf8');
    while (!chosen().startsWith('vfio-pci')) await setImmediate();
    expect(canOpen()).toBe(false);
    await once(next.stdout as NodeJS.ReadableStream, 'data');
    expect(canOpen(other)).toBe(true);
  });

  it('is open to nobody after a start that found it in use', async () => {
    pci.addIommufd();
    pci.add('0000:02:00.0', { driver: 'vfio-pci', group: '9' });
    allow('pci 0000:02:00.0 10de:2684');
    const holder = spawn('sh', ['-c', 'exec 5<>/dev/full; echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(holder);
    await once(holder.stdout, 'data');
    const { code, stderr } = await lab.call(run('--pci=0000:02:00.0'));
    expect(stderr).toContain(`IOMMU group 9 is in use by cat (process ${holder.pid})`);
    expect(code).toBe(75);
    expect(canOpen(lab.member, '9')).toBe(false);
  });
});

const REFUSED: [name: string, device: Parameters<FakePci['add']>[1], rule: string, code: number, says: RegExp][] = [
  ['a bridge', { class: '060400', driver: 'pcieport' }, '10de:2684 bind', 77, /is a bridge/],
  ['a host bridge', { class: '060000', driver: null }, '10de:2684 bind', 77, /is a bridge/],
  [
    'another model at that address',
    { ids: '8086:10d3' },
    '10de:2684 bind',
    77,
    /is 8086:10d3 and the policy means 10de:2684/,
  ],
  ['another vendor’s', { ids: '10df:2684' }, '10de:2684 bind', 77, /other hardware may have moved it/],
  ['the display at the start', { boot: true }, '10de:2684 bind', 77, /display the machine started with/],
  [
    'a device that may not be taken',
    {},
    '10de:2684',
    77,
    /through driver nouveau, and the policy does not let you take it/,
  ],
  ['a device without IOMMU', { group: null }, '10de:2684 bind', 69, /has no IOMMU group; turn on VT-d/],
  ['one with virtual functions', { functions: 4 }, '10de:2684 bind', 75, /virtual functions/],
  ['one of VFIO’s with virtual functions', { driver: 'vfio-pci', functions: 4 }, '10de:2684', 75, /virtual functions/],
  ['a strange class', { class: '03' }, '10de:2684 bind', 69, /sysfs tells nothing/],
  ['a class with more after it', { class: '030000; rm' }, '10de:2684 bind', 69, /sysfs tells nothing/],
];

describe.skipIf(!CAN)(`is left alone: a PCI device (in a tree like sysfs)${WHY}`, () => {
  const DEVICE = '0000:02:00.0';
  const expectRefused = async (code: number, says: RegExp, call = {}) => {
    const before = pci.driver(DEVICE);
    for (const args of [run(`--pci=${DEVICE}`), ['check', `--pci=${DEVICE}`]]) {
      const ended = await lab.call(args, call);
      expect(ended.stdout + ended.stderr).toMatch(says);
      expect(ended.code).toBe(code);
    }
    expect(pci.driver(DEVICE)).toBe(before);
    expect(pci.done).toEqual([]);
    expect(existsSync(lab.path('run/ezvm-priv/group-9'))).toBe(false);
  };

  it.each(REFUSED)('%s', async (_, device, rule, code, says) => {
    pci.add(DEVICE, { group: '9', ...device });
    allow(`pci ${DEVICE} ${rule}`);
    await expectRefused(code, says);
  });

  it('that a policy denies though it allows it', async () => {
    pci.add(DEVICE, { group: '9' });
    for (const pattern of [DEVICE, '0000:02:*', '*', '????:02:00.?']) {
      lab.policy(`allow any program ${lab.witness}\nallow any pci ${DEVICE} 10de:2684 bind\ndeny any pci ${pattern}\n`);
      await expectRefused(77, /line 3 of the policy denies/);
    }
  });

  it('when vfio-pci is not loaded', async () => {
    pci.add(DEVICE, { group: '9' });
    allow(`pci ${DEVICE} 10de:2684 bind`);
    rmSync(lab.path('sys/bus/pci/drivers/vfio-pci'), { recursive: true });
    await expectRefused(69, /vfio-pci is not loaded; as root, run: modprobe vfio-pci/);
  });

  it('when iommufd is asked for and not there', async () => {
    const ended = await lab.call(run(`--pci=30:${CARD}`, '--iommufd=31'));
    expect(ended.stderr).toMatch(/kernel has no iommufd/);
    expect(ended.code).toBe(69);
  });

  it('the start’s display, but where the policy allows it', async () => {
    pci.add(DEVICE, { group: '9', boot: true });
    allow(`pci ${DEVICE} 10de:2684 bind boot-display`);
    expect((await lab.call(run(`--pci=${DEVICE}`))).code).toBe(0);
    await lab.call(['release']);
  });

  it('with a disk that is mounted, by whatever name', async ({ skip }) => {
    const disk = makeDisk(lab, 'nvme0n1');
    if (!disk) return skip('no loop device can be made here');
    mkdirSync(lab.path('mnt'));
    tool('mkfs.ext4', ['-q', disk.device]);
    tool('mount', [disk.device, lab.path('mnt')]);
    try {
      allow(`pci ${DEVICE} 10de:2684 bind`);
      pci.add(DEVICE, { group: '9', driver: 'nvme', class: '010802' });
      pci.addBelow(DEVICE, 'block', 'nvme0n1');
      await expectRefused(75, /has disk nvme0n1, which is in use/);
      // The kernel hides a disk's paths behind one head where there may be several.
      rmSync(lab.path('sys/class/block/nvme0n1'));
      pci.addBelow(DEVICE, 'block', 'nvme0c3n1', { hidden: '1\n' });
      await expectRefused(75, /has disk nvme0n1, which is in use/);
    } finally {
      tool('umount', [lab.path('mnt')]);
    }
    expect((await lab.call(run(`--pci=${DEVICE}`))).code).toBe(0);
    await lab.call(['release']);
    disk.detach();
  });

  it('with a network interface that has an address, or that others are built on', async ({ skip }) => {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(holder);
    await once(holder.stdout, 'data');
    const network = holder.pid ?? 0;
    const inside = (...words: string[]) => tool('nsenter', [`--net=/proc/${network}/ns/net`, '--', ...words]);
    const ip = (...words: string[]) => inside('ip', ...words);
    try {
      ip('tuntap', 'add', 'nic0', 'mode', 'tap');
    } catch {
      return skip('no interface can be made here');
    }
    allow(`pci ${DEVICE} 10de:2684 bind`);
    pci.add(DEVICE, { group: '9', driver: 'e1000e', class: '020000' });
    pci.addBelow(DEVICE, 'net', 'nic0');
    ip('addr', 'add', '192.0.2.1/24', 'dev', 'nic0', 'label', 'nic0:1');
    ip('link', 'set', 'nic0', 'up');
    await expectRefused(75, /interface nic0, which is up and has an address.*ip link set nic0 down/, { network });
    ip('addr', 'flush', 'dev', 'nic0');
    ip('addr', 'add', '2001:db8::1/64', 'dev', 'nic0');
    await expectRefused(75, /which is up and has an address/, { network });
    await expectRefused(75, /another network namespace/);
    ip('addr', 'flush', 'dev', 'nic0');
    // What the kernel itself shows of such an interface, for what it can make here; a VLAN or bond looks the same.
    const show = 'mount -t sysfs none /sys && ls /sys/class/net/nic0';
    const shown = () => inside('unshare', '--mount', 'sh', '-c', show).match(/^(master|upper_.*)$/gm) ?? [];
    const over: [make: string, links: string[], says: RegExp][] = [
      ['name over type bridge', ['master', 'upper_over'], /part of a bridge.*ip link set nic0 nomaster/],
      ['link nic0 name over type macvlan', ['upper_over'], /which over is built on.*ip link del over/],
      ['link nic0 name over type macvtap', ['upper_over'], /which over is built on/],
    ];
    for (const [make, links, says] of over) {
      ip('link', 'add', ...make.split(' '));
      if (links.includes('master')) ip('link', 'set', 'nic0', 'master', 'over');
      expect(shown()).toEqual(links);
      for (const name of links) writeFileSync(lab.path('sys/class/net/nic0', name), '');
      await expectRefused(75, says, { network });
      for (const name of links) rmSync(lab.path('sys/class/net/nic0', name));
      ip('link', 'del', 'over');
    }
    expect(shown()).toEqual([]);
    expect((await lab.call(run(`--pci=${DEVICE}`), { network })).code).toBe(0);
    await lab.call(['release']);
  });

  it('with a screen or a sound that a program has open', async () => {
    allow(`pci ${DEVICE} 10de:2684 bind`);
    pci.add(DEVICE, { group: '9' });
    const holder = spawn('sh', ['-c', 'exec 5<>/dev/full; echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
    children.push(holder);
    await once(holder.stdout, 'data');
    for (const [kind, name] of [
      ['drm', 'card1'],
      ['sound', 'pcmC1D0p'],
      ['video4linux', 'video0'],
    ] as const) {
      pci.addBelow(DEVICE, kind, name, { dev: '1:7\n' });
      await expectRefused(75, /is in use by cat \(process \d+\); end it/);
      rmSync(lab.path('sys/class', kind), { recursive: true });
    }
    // An open mixer is no use, and neither is what lies below another device.
    pci.addBelow(DEVICE, 'sound', 'controlC1', { dev: '1:7\n' });
    pci.addBelow('0000:03:00.0', 'drm', 'card2', { dev: '1:7\n' });
    expect((await lab.call(run(`--pci=${DEVICE}`))).code).toBe(0);
    await lab.call(['release']);
  });

  it('of NVIDIA’s own driver, which does not say whether it is in use', async () => {
    allow(`pci ${DEVICE} 10de:2684 bind`);
    pci.add(DEVICE, { group: '9', driver: 'nvidia' });
    await expectRefused(75, /belongs to NVIDIA's driver/);
  });

  it('when anything else is refused, and all of that is said', async () => {
    const ended = await lab.call(run(`--pci=${CARD}`, '--block=20:/dev/none:rw', '--tap=21:br-none'));
    expect(ended.stderr.match(/^ezvm-priv: (\w+)/gm)).toEqual(['ezvm-priv: block', 'ezvm-priv: bridge']);
    expect(ended.code).toBe(77);
    expect(pci.done).toEqual([]);
  });
});

describe.skipIf(!CAN)(`what goes wrong half way (in a tree like sysfs)${WHY}`, () => {
  it('is put back: a driver that does not take the device', async () => {
    pci.broken.add('vfio-pci');
    const ended = await lab.call(run(`--pci=${SOUND}`, `--pci=${CARD}`));
    expect(ended.stderr).toContain('vfio-pci does not take PCI device');
    expect(ended.code).toBe(71);
    expect([pci.driver(CARD), pci.driver(SOUND)]).toEqual(['nouveau', 'snd_hda_intel']);
    expect([pci.override(CARD), pci.override(SOUND)]).toEqual(['(null)', '(null)']);
    expect([record('7'), record('8')]).toEqual(['', '']);
  });

  it('is put back: no nodes of their own', async () => {
    pci.addIommufd();
    pci.own = false;
    const ended = await lab.call(run(`--pci=30:${CARD}`, '--iommufd=31'));
    expect(ended.stderr).toContain('this kernel knows groups only');
    expect(ended.code).toBe(69);
    expect(pci.driver(CARD)).toBe('nouveau');
  });

  it('is written down when it cannot be put back, and released when it can', async () => {
    await stop(await startVm([`--pci=${CARD}`]));
    pci.broken.add('nouveau');
    const failed = await lab.call(['release']);
    expect(failed.stderr).toMatch(
      /driver nouveau does not take PCI device 0000:01:00.0 back; as root, run: modprobe nouveau/,
    );
    expect(failed.code).toBe(71);
    expect(record()).toContain('nouveau');
    pci.broken.delete('nouveau');
    expect((await lab.call(['release'])).code).toBe(0);
    expect(pci.driver(CARD)).toBe('nouveau');
  });

  it('is found by release wherever a start was cut off', async () => {
    // A record that was written, and then nothing, or a part.
    const text = `uid ${lab.member.uid}\nvm win\nprocess 999999 1\nnode -\ndevice ${CARD} nouveau -\n`;
    for (const part of [
      () => {},
      () => writeFileSync(lab.path('sys/bus/pci/devices', CARD, 'driver_override'), 'vfio-pci\n'),
      () => rmSync(lab.path('sys/bus/pci/devices', CARD, 'driver')),
    ]) {
      mkdirSync(lab.path('run/ezvm-priv'), { recursive: true, mode: 0o700 });
      writeFileSync(lab.path('run/ezvm-priv/group-7'), text, { mode: 0o600 });
      part();
      expect((await lab.call(['release'])).code).toBe(0);
      expect(pci.driver(CARD)).toBe('nouveau');
      expect(pci.override(CARD)).toBe('(null)');
    }
  });

  it.each([
    ['nonsense', 'nonsense'],
    ['a device that climbs', 'uid 0\nvm win\nprocess 1 1\nnode -\ndevice ../../../etc nouveau -\n'],
    ['a driver that climbs', `uid 0\nvm win\nprocess 1 1\nnode -\ndevice ${CARD} ../../x -\n`],
    ['no device', 'uid 0\nvm win\nprocess 1 1\nnode -\n'],
    ['a NUL byte', `uid 0\nvm win\nprocess 1 1\nnode -\ndevice ${CARD} nouveau -\n\0`],
  ])('is not made worse by a record with %s', async (_, text) => {
    mkdirSync(lab.path('run/ezvm-priv'), { recursive: true, mode: 0o700 });
    writeFileSync(lab.path('run/ezvm-priv/group-7'), text, { mode: 0o600 });
    const ended = await lab.call(run(`--pci=${CARD}`));
    expect(ended.stderr).toMatch(/cannot make sense of .*group-7/);
    expect(ended.code).toBe(71);
    expect(pci.done).toEqual([]);
  });

  it.each([
    ['that others may write', 0o777],
    ['that its group may write', 0o770],
  ])('is refused with a folder of records %s', async (_, mode) => {
    mkdirSync(lab.path('run/ezvm-priv'), { recursive: true });
    chmodSync(lab.path('run/ezvm-priv'), mode);
    const ended = await lab.call(run(`--pci=${CARD}`));
    expect(ended.stderr).toMatch(/others than root may write/);
    expect(pci.done).toEqual([]);
  });

  it('leaves nodes that are not what sysfs says alone', async () => {
    pci.groupNumber = '1:5';
    const ended = await lab.call(run(`--pci=${CARD}`));
    expect(ended.stderr).toMatch(/there is no .*vfio\/7/);
    expect(ended.code).toBe(71);
    expect(pci.driver(CARD)).toBe('nouveau');
    expect(readdirSync(lab.path('run/ezvm-priv'))).toEqual(['group-7']);
  });
});

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ARGUMENT_CASES } from './cases-arguments.ts';
import { BAD_POLICIES, BLOCK_RULINGS } from './cases-policy.ts';
import { SURROUNDINGS } from './cases-surroundings.ts';
import { CAN, type Call, type Ended, link, makeDisk, makeLab, node, type PrivLab, tool, WHY } from './lab.ts';

let lab: PrivLab;
const undo: (() => void)[] = [];
/** Disks that this machine could not make, whose cases are left out. */
const lacking = new Set<string>();

function addDisk(name: string): void {
  const disk = makeDisk(lab, name, name);
  if (disk) undo.push(disk.detach);
  else lacking.add(name);
}

/** Tries to have the host use a disk. */
function have(name: string, begin: [string, string[]][], end: [string, string[]]): void {
  if (lacking.has(name)) return;
  if (begin.every(([program, args]) => spawnSync(program, args).status === 0)) undo.push(() => tool(...end));
  else lacking.add(name);
}

/** What lies in the lab's /dev, of right and wrong kinds. */
function fillDev(): void {
  const dev = (name: string) => lab.path('dev', name);
  for (const name of ['disk', 'mounted', 'swap', 'fixed']) addDisk(name);
  for (const name of ['by', 'open', 'his']) mkdirSync(dev(name), { mode: 0o755 });
  node(dev('null'), '/dev/null');
  writeFileSync(dev('file'), '');
  tool('mkfifo', [dev('pipe')]);
  const links = { shadow: '/etc/shadow', climbs: '../../../../etc/shadow', circle: 'circle', nowhere: 'none' };
  for (const [name, target] of Object.entries({
    ...links,
    proc: '/proc/self/fd/0',
    'by/disk': '../disk',
    linked: 'by',
  }))
    link(lab, name, target);
  if (lacking.has('disk')) return;
  for (const name of ['twin', 'open/disk', 'his/disk']) node(dev(name), dev('disk'));
  node(lab.path('out', 'disk'), dev('disk'));
  link(lab, 'away', '../out/disk');
  chmodSync(dev('open'), 0o777);
  chownSync(dev('his'), lab.member.uid, lab.member.gid);
  const [mounted, swap] = [dev('mounted'), dev('swap')];
  mkdirSync(lab.path('mnt'));
  have(
    'mounted',
    [
      ['mkfs.ext4', ['-q', mounted]],
      ['mount', [mounted, lab.path('mnt')]],
    ],
    ['umount', [lab.path('mnt')]],
  );
  have(
    'swap',
    [
      ['mkswap', [swap]],
      ['swapon', [swap]],
    ],
    ['swapoff', [swap]],
  );
  have('fixed', [['blockdev', ['--setro', dev('fixed')]]], ['blockdev', ['--setrw', dev('fixed')]]);
}

beforeAll(async () => {
  if (!CAN) return;
  lab = await makeLab();
  fillDev();
  copyFileSync(lab.witness, lab.path('bin', 'secret'));
  chmodSync(lab.path('bin', 'secret'), 0o700);
});
afterAll(async () => {
  for (const each of undo.toReversed()) each();
  await lab?.sweep();
});

const GENEROUS = `
allow any program WITNESS
allow any program HELPER-NOT
allow any block /dev/disk rw
allow any block /dev/cd ro
allow any bridge br-lab*
allow any bridge lo
deny any bridge br-host
allow any pci 0000:01:00.0 10de:2684 bind
allow any memlock 64K
`;

/** Words of the tables that are known only when the lab is there. */
function fill(text: string): string {
  const group = tool('stat', ['-c', '%G', lab.helper]).trim();
  return text
    .replaceAll('WITNESS', lab.witness)
    .replaceAll('MEMBERNAME', lab.member.name)
    .replaceAll('MEMBER', String(lab.member.uid))
    .replaceAll('STRANGER', String(lab.stranger.uid))
    .replaceAll('GROUP', group)
    .replaceAll('HELPER', lab.helper)
    .replaceAll('DIR', lab.dir);
}

/** What the dynamic loader says of its own, before the helper begins. */
const LOADERS = /^\/var\/profile\/|error while loading shared libraries/;

/** What holds however the helper ends: it speaks in lines of printable text, and never as the shell or the kernel would. */
function expectDecent({ code, signal, stderr }: Ended): void {
  expect(signal, stderr).toBe(null);
  expect([0, 64, 69, 71, 75, 77, 78, 99, 126, 127]).toContain(code);
  for (const line of stderr.split('\n').slice(0, -1)) {
    if (LOADERS.test(line)) continue;
    expect(line).toMatch(/^(ezvm-priv|launch): [\x20-\x7e]{10,640}$/);
    // What is wrong, and what to do about it.
    if (code !== 64 && line.startsWith('ezvm-priv')) expect(line).toMatch(/[;:(].*[a-z]/);
  }
  expect(lab.logged()).not.toMatch(/[^\x20-\x7e\n]/);
}

function run(args: string[], call?: Call): Ended {
  const ended = lab.run(args.map(fill), call);
  expectDecent(ended);
  return ended;
}

/** Whether `run` gets as far as the program. */
const START = ['run', '--vm=win', '--', 'WITNESS'];

describe.skipIf(!CAN)(`command lines${WHY}`, () => {
  it.each(ARGUMENT_CASES)('%s', (_, args, code, says) => {
    lab.policy(fill(GENEROUS));
    const ended = run(args, { actions: ['open:3,0,/dev/null'] });
    expect(ended.stderr).toMatch(says);
    expect(ended.code).toBe(code);
    if (code !== 0) expect(ended.stdout).toBe('');
  });
});

describe.skipIf(!CAN)(`policies${WHY}`, () => {
  it.each(BAD_POLICIES)('refuses %s', (_, text, says) => {
    lab.policy('');
    writeFileSync(lab.policyFile, Buffer.from(fill(text), /[^\0-\xff]/.test(text) ? 'utf8' : 'latin1'));
    const ended = run(START);
    expect(ended.code).toBe(78);
    expect(ended.stderr).toMatch(says);
    expect(ended.stdout).toBe('');
  });

  it.each(BLOCK_RULINGS)('%s', (_, text, block, granted) => {
    const name = /mounted|swap|fixed/.exec(block)?.[0] ?? 'disk';
    if (lacking.has(name)) return;
    lab.policy(fill(`allow any program WITNESS\n${text}\n`));
    const ended = run(['run', '--vm=win', `--block=20:${block}`, '--', 'WITNESS', 'descriptors']);
    if (granted === true) {
      expect(ended.stderr).toBe('');
      expect(ended.stdout).toMatch(/^fd 20 block /m);
    } else {
      expect(ended.stderr).toMatch(granted);
      expect([69, 75, 77]).toContain(ended.code);
      expect(ended.stdout).toBe('');
    }
  });

  it('take 256 rules and 64 KiB', () => {
    lab.policy(fill(`${'allow any bridge br0\n'.repeat(255)}allow any program WITNESS #`).padEnd(65_536, '#'));
    expect(run(START).code).toBe(0);
  });
});

/** Each makes the policy's place wrong and says how to put it right again. */
const PLACES: [name: string, spoil: () => () => void, says: RegExp][] = [
  [
    'is not there',
    () => {
      rmSync(lab.policyFile);
      return () => {};
    },
    /cannot open .*ezvm setup helper/,
  ],
  ['is the caller’s', () => owned(lab.policyFile, lab.member.uid), /is not root's; run: chown root:root/],
  ['is another user’s', () => owned(lab.policyFile, lab.stranger.uid), /is not root's/],
  ['may be written by its group', () => moded(lab.policyFile, 0o664), /others than root may write .*; run: chmod go-w/],
  ['may be written by all', () => moded(lab.policyFile, 0o646), /others than root may write/],
  ['has a list that lets the caller write', () => listed(lab.policyFile), /others than root may write|^$/],
  ['is a link to a good one', () => replaced(() => symlinkSync('good', lab.policyFile)), /is a link/],
  ['is a link to somewhere else', () => replaced(() => symlinkSync('/etc/passwd', lab.policyFile)), /is a link/],
  ['is a link to nothing', () => replaced(() => symlinkSync('none', lab.policyFile)), /is a link/],
  [
    'has a second name',
    () => replaced(() => linkSync(lab.path('etc', 'good'), lab.policyFile)),
    /not a plain file with one name/,
  ],
  ['is a folder', () => replaced(() => mkdirSync(lab.policyFile)), /not a plain file/],
  ['is a pipe', () => replaced(() => tool('mkfifo', ['-m', '644', lab.policyFile])), /not a plain file|root's/],
  [
    'is a device',
    () => replaced(() => tool('mknod', ['-m', '644', lab.policyFile, 'c', '1', '5'])),
    /not a plain file/,
  ],
  ['is in a folder that all may write', () => moded(lab.path('etc'), 0o777), /others than root may write/],
  ['is in a folder that all may write, sticky', () => moded(lab.path('etc'), 0o1777), /others than root may write/],
  ['is in a folder that its group may write', () => moded(lab.path('etc'), 0o775), /others than root may write/],
  ['is in the caller’s folder', () => owned(lab.path('etc'), lab.member.uid), /is not root's/],
  ['is below a folder that all may write', () => moded(lab.dir, 0o777), /others than root may write/],
  ['is below the caller’s folder', () => owned(lab.dir, lab.member.uid), /is not root's/],
  ['is behind a linked folder', linkedFolder, /is a link or no folder/],
  ['is below a file', fileForFolder, /is a link or no folder/],
];

function owned(file: string, uid: number): () => void {
  chownSync(file, uid, 0);
  return () => chownSync(file, 0, 0);
}

function moded(file: string, mode: number): () => void {
  chmodSync(file, mode);
  return () => chmodSync(file, 0o755);
}

function listed(file: string): () => void {
  // Without the tool for it, the mode that a list with this right shows.
  if (spawnSync('setfacl', ['-m', `u:${lab.member.uid}:rw`, file]).status !== 0) chmodSync(file, 0o664);
  return () => {};
}

function replaced(make: () => void): () => void {
  renameSync(lab.policyFile, lab.path('etc', 'good'));
  make();
  return () => {
    rmSync(lab.policyFile, { recursive: true });
    rmSync(lab.path('etc', 'good'));
  };
}

function linkedFolder(): () => void {
  renameSync(lab.path('etc'), lab.path('real'));
  symlinkSync('real', lab.path('etc'));
  return () => {
    unlinkSync(lab.path('etc'));
    renameSync(lab.path('real'), lab.path('etc'));
  };
}

function fileForFolder(): () => void {
  renameSync(lab.path('etc'), lab.path('real'));
  writeFileSync(lab.path('etc'), '');
  return () => {
    unlinkSync(lab.path('etc'));
    renameSync(lab.path('real'), lab.path('etc'));
  };
}

describe.skipIf(!CAN)(`a policy that${WHY}`, () => {
  let mend = () => {};
  afterEach(() => mend());

  it.each(PLACES)('%s', (_, spoil, says) => {
    lab.policy(fill(GENEROUS));
    mend = () => {};
    mend = spoil();
    for (const args of [START, ['check']]) {
      const ended = run(args);
      expect(ended.stderr).toMatch(says);
      expect(ended.code).toBe(78);
      expect(ended.stdout).toBe('');
    }
  });
});

describe.skipIf(!CAN)(`surroundings${WHY}`, () => {
  it.each(SURROUNDINGS)('%s', (_, actions, code, says) => {
    lab.policy(fill(GENEROUS));
    const disk = lacking.has('disk') ? [] : ['--block=20:/dev/disk:rw'];
    const ended = run(['run', '--vm=win', ...disk, '--', 'WITNESS'], { actions });
    expect(ended.stdout + ended.stderr).toMatch(says);
    expect(ended.code).toBe(code);
    for (const left of ['/tmp/ezvm-x', '/tmp/ezvm-trace']) expect(existsSync(left)).toBe(false);
  });

  it('a stranger, who is not in the group', () => {
    lab.policy(fill(GENEROUS));
    const ended = lab.run(START.map(fill), { user: lab.stranger });
    expect(ended.stderr).toContain('Permission denied');
    expect(ended.code).toBe(99);
  });

  it('root, who needs no helper', () => {
    const root = { name: 'root', uid: 0, gid: 0, ids: '0,0' };
    for (const args of [START, ['check']]) {
      const ended = run(args, { user: root });
      expect(ended.stderr).toContain('called by root');
      expect(ended.code).toBe(64);
    }
  });

  it('no setuid bit', () => {
    chmodSync(lab.helper, 0o750);
    try {
      const ended = run(START);
      expect(ended.stderr).toContain('not running as root');
      expect(ended.code).toBe(71);
    } finally {
      chmodSync(lab.helper, 0o4750);
    }
  });
});

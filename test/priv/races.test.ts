import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakePci } from './fake-pci.ts';
import { CAN, makeDisk, makeLab, type PrivLab, WHY } from './lab.ts';

const CARD = '0000:01:00.0';
const STARTS = 6;

let lab: PrivLab;
let pci: FakePci | undefined;
const disks: ReturnType<typeof makeDisk>[] = [];
beforeAll(async () => {
  if (!CAN) return;
  lab = await makeLab();
  for (const name of ['disk', 'secret']) disks.push(makeDisk(lab, name, `this is ${name}`));
  allow(`pci ${CARD} 10de:2684 bind`, 'block /dev/flip rw', 'block /dev/disk rw');
});
afterAll(async () => {
  for (const disk of disks) disk?.detach();
  await lab?.sweep();
});

afterEach(() => {
  pci?.end();
  pci = undefined;
});

function allow(...rules: string[]): void {
  const lines = [`program ${lab.witness}`, ...rules].map((rule) => `allow any ${rule}\n`);
  lab.policy(`${lines.join('')}deny any block /dev/secret\n`);
}

const run = (...options: string[]) => ['run', '--vm=win', ...options, '--', lab.witness];

/** What of several starts at once came to run, and the exit codes of the others. */
async function startAtOnce(option: string): Promise<{ running: ChildProcess[]; codes: (number | null)[] }> {
  const children = Array.from({ length: STARTS }, () => lab.start([...run(option), 'wait']));
  const running: ChildProcess[] = [];
  const codes: (number | null)[] = [];
  await Promise.all(
    children.map(async (child) => {
      const exit = once(child, 'exit');
      const started = child.stdout ? once(child.stdout, 'data') : exit;
      if ((await Promise.race([exit, started])).length === 1) running.push(child);
      else codes.push(child.exitCode);
    }),
  );
  return { running, codes };
}

async function end(children: ChildProcess[]): Promise<void> {
  for (const child of children) {
    const exit = once(child, 'exit');
    child.stdin?.end();
    await exit;
  }
}

describe.skipIf(!CAN)(`races${WHY}`, () => {
  it('a link that leads elsewhere every moment gives the allowed disk or none', async ({ skip }) => {
    if (disks.includes(null)) return skip('no loop device can be made here');
    const flip = lab.path('dev', 'flip');
    symlinkSync('disk', flip);
    // In a process of its own, so that it goes on while the helper runs.
    const body = `const { renameSync, symlinkSync } = require('node:fs');
      for (let i = 0; ; i++) { symlinkSync(i % 2 ? 'disk' : 'secret', process.argv[1] + '.new'); renameSync(process.argv[1] + '.new', process.argv[1]); }`;
    const flipper = spawn(process.execPath, ['-e', body, flip], { stdio: 'ignore' });
    try {
      const seen = { granted: 0, refused: 0 };
      for (let i = 0; i < 300; i++) {
        const { code, stdout, stderr } = lab.run([...run('--block=20:/dev/flip:rw'), 'read:20:4096']);
        if (code === 0) {
          expect(stdout).toContain('read 20 this is disk\n');
          seen.granted++;
        } else {
          expect(stderr).toMatch(/denies it under another name/);
          seen.refused++;
        }
      }
      expect(seen.granted).toBeGreaterThan(0);
      expect(seen.refused).toBeGreaterThan(0);
    } finally {
      const exit = once(flipper, 'exit');
      flipper.kill('SIGKILL');
      await exit;
    }
  });

  it('a policy that is replaced every moment is read whole, as the one or the other', async () => {
    const [open, shut] = [lab.path('etc', 'open'), lab.path('etc', 'shut')];
    const padding = `${'# x\n'.repeat(15_000)}`;
    for (let i = 0; i < 60; i++) {
      writeFileSync(open, `${padding}allow any program ${lab.witness}\n`);
      writeFileSync(shut, `${padding}allow any program ${lab.witness}\ndeny any program ${lab.witness}\n`);
      renameSync(i % 2 ? open : shut, lab.policyFile);
      const pending = lab.call(run());
      renameSync(i % 2 ? shut : open, lab.policyFile);
      const { code, stdout, stderr } = await pending;
      if (code === 0) expect(stdout).toBe('witness ends\n');
      else expect(stderr).toMatch(/line 15002 of the policy denies it/);
    }
    allow(`pci ${CARD} 10de:2684 bind`, 'block /dev/flip rw', 'block /dev/disk rw');
  });

  it('of several starts at once, one has the disk', async ({ skip }) => {
    if (disks.includes(null)) return skip('no loop device can be made here');
    const { running, codes } = await startAtOnce('--block=20:/dev/disk:rw');
    expect(running).toHaveLength(1);
    expect(codes).toEqual(Array(STARTS - 1).fill(75));
    await end(running);
  });

  it('of several starts at once, one has the PCI device', async () => {
    pci = new FakePci(lab);
    pci.add(CARD);
    const { running, codes } = await startAtOnce(`--pci=${CARD}`);
    expect(running).toHaveLength(1);
    expect(codes).toEqual(Array(STARTS - 1).fill(75));
    expect(readFileSync(lab.path('run/ezvm-priv/group-7'), 'utf8')).toContain(`process ${running[0]?.pid} `);
    await end(running);
    // And several releases at once are one.
    const ended = await Promise.all(Array.from({ length: STARTS }, () => lab.call(['release'])));
    expect(ended.map(({ code }) => code)).toEqual(Array(STARTS).fill(0));
    expect(ended.filter(({ stdout }) => stdout !== '')).toHaveLength(1);
    expect(pci.driver(CARD)).toBe('nouveau');
  });

  it('killed at any point, as who owns its control group can, leaves what release puts right', async () => {
    pci = new FakePci(lab);
    pci.add(CARD);
    const ways = new Set<string>();
    for (let delay = 0; delay < 40; delay++) {
      const child = lab.start([...run(`--pci=${CARD}`), 'wait']);
      const exit = once(child, 'exit');
      await sleep(delay);
      child.kill('SIGKILL'); // by root: the caller has no right to
      await exit;
      pci.settle(); // the kernel does what is written before the writer can end
      ways.add(`${pci.driver(CARD)} ${existsSync(lab.path('dev/vfio/7'))}`);
      const { code, stderr } = await lab.call(['release']);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect([pci.driver(CARD), pci.override(CARD)]).toEqual(['nouveau', '(null)']);
      expect(existsSync(lab.path('dev/vfio/7'))).toBe(false);
    }
    expect(ways.size).toBeGreaterThan(1);
  });
});

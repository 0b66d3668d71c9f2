import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAN, makeLab, type PrivLab, tool, WHY } from './lab.ts';

let lab: PrivLab;
let holder: ChildProcess;
let network = 0;
let lack = '';
const inside = (...words: string[]) => tool('nsenter', [`--net=/proc/${network}/ns/net`, '--', ...words]);

beforeAll(async () => {
  if (!CAN) return;
  lab = await makeLab();
  holder = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(holder.stdout as NodeJS.ReadableStream, 'data');
  network = holder.pid ?? 0;
  try {
    inside('ip', 'link', 'add', 'br-lab', 'mtu', '1400', 'type', 'bridge');
    inside('ip', 'link', 'set', 'br-lab', 'up');
    inside('ip', 'link', 'property', 'add', 'dev', 'br-lab', 'altname', 'br-other');
    inside('ip', 'tuntap', 'add', 'plain', 'mode', 'tap');
  } catch {
    lack = 'no bridge or no tap can be made here';
  }
  lab.policy(`allow any program ${lab.witness}\nallow any bridge br-*\nallow any bridge plain\n`);
});
afterAll(async () => {
  if (!CAN) return;
  holder.stdin?.end();
  await once(holder, 'exit');
  await lab.sweep();
});

interface Link {
  ifname: string;
  mtu: number;
  master?: string;
  address: string;
  flags: string[];
}
const links = (): Link[] => JSON.parse(inside('ip', '-json', 'link', 'show'));
const taps = () => links().filter(({ ifname }) => ifname.startsWith('ezvm'));
const run = (...options: string[]) => ['run', '--vm=win', ...options, '--', lab.witness];

describe.skipIf(!CAN)(`a tap${WHY}`, () => {
  it('is made, put on the bridge, handed over, and gone with the program', async ({ skip }) => {
    if (lack) return skip(lack);
    const child = lab.start([...run('--tap=20:br-lab'), 'descriptors', 'root', 'wait'], { network });
    let said = '';
    for await (const text of child.stdout ?? []) {
      said += text;
      if (said.includes('waits')) break;
    }
    expect(said).toMatch(/^fd 20 char \d+ 10:200 \/dev\/net\/tun$/m);
    expect(said).not.toMatch(/^try .* done$/m);
    const [tap, ...more] = taps();
    expect(more).toEqual([]);
    expect(tap).toMatchObject({ master: 'br-lab', mtu: 1400, address: expect.stringMatching(/^fe:/) });
    expect(tap?.flags).toContain('UP');
    const exit = once(child, 'exit');
    child.stdin?.end();
    await exit;
    expect(taps()).toEqual([]);
  });

  it('has the queues it is asked for, and a name of its own', async ({ skip }) => {
    if (lack) return skip(lack);
    const options = ['--tap=30+31+32:br-lab', '--tap=33:br-lab', '--tap=34+35:br-lab'];
    const child = lab.start([...run(...options), 'descriptors', 'wait'], { network });
    let said = '';
    for await (const text of child.stdout ?? []) {
      said += text;
      if (said.includes('waits')) break;
    }
    const bridges = taps().map(({ master }) => master);
    const exit = once(child, 'exit');
    child.stdin?.end();
    await exit;
    expect(said.match(/^fd 3\d char/gm)).toHaveLength(6);
    expect(bridges).toEqual(['br-lab', 'br-lab', 'br-lab']);
    expect(taps()).toEqual([]);
  });

  it('of several queues is nobody else’s to join', async ({ skip }) => {
    if (lack) return skip(lack);
    const child = lab.start([...run('--tap=20+21:br-lab'), 'wait'], { network });
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    const { ids } = lab.stranger;
    const name = taps()[0]?.ifname ?? '';
    const joins = inside(lab.path('bin/launch'), `become:${ids}`, '--', lab.witness, `attach:${name}`);
    const exit = once(child, 'exit');
    child.stdin?.end();
    await exit;
    expect(joins).toContain(`attach ${name} EPERM`);
  });

  it('of several queues is nobody else’s to join while it is made', async ({ skip }) => {
    if (lack) return skip(lack);
    const words = [lab.path('bin/launch'), `become:${lab.stranger.ids}`, '--', lab.witness, 'lurk:ezvm0'];
    const stranger = spawn('nsenter', [`--net=/proc/${network}/ns/net`, '--', ...words]);
    let said = '';
    stranger.stdout.on('data', (text) => {
      said += text;
    });
    await once(stranger.stdout, 'data');
    for (let turn = 0; turn < 40; turn++)
      expect((await lab.call(run('--tap=20+21:br-lab'), { network })).stderr).toBe('');
    const exit = once(stranger, 'close');
    stranger.stdin.end();
    await exit;
    expect(said).toMatch(/^lurk ezvm0 EPERM$/m);
  });

  it.each([
    ['a bridge that is not there', '--tap=20:br-none', 69, 'there is no bridge br-none'],
    ['an interface that is no bridge', '--tap=20:plain', 77, 'plain is no bridge'],
    ['a bridge that is not allowed', '--tap=20:lo', 77, 'bridge lo: the policy does not allow it'],
    ['a bridge by another name of its', '--tap=20:br-other', 77, 'br-other is another name of br-lab'],
    ['vhost, which is not allowed', '--tap=20:br-lab:21', 77, 'does not allow vhost'],
  ])('is not made for %s', (_, option, code, says) => {
    if (lack) return;
    const ended = lab.run([...run(option)], { network });
    expect(ended.stderr).toContain(says);
    expect(ended.code).toBe(code);
    expect(taps()).toEqual([]);
  });

  it('is not left behind when another grant is refused', ({ skip }) => {
    if (lack) return skip(lack);
    expect(lab.run([...run('--tap=20:br-lab', '--tap=21:br-none')], { network }).code).toBe(69);
    expect(taps()).toEqual([]);
  });
});

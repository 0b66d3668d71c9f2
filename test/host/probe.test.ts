import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { cpus, totalmem, userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSchema, type Probed, probeHost } from '../../src/host/probe.ts';
import { NO_QEMU, QEMU } from '../qemu/recordings.ts';
import { asStranger, IS_ROOT, program, STRANGER, scratch } from './scratch.ts';

/** A QEMU that counts its starts, so that a test sees whether it was asked at all. */
function countingQemu(dir: string): { binary: string; starts: () => number } {
  const counter = join(dir, 'starts');
  writeFileSync(counter, '');
  const binary = program(dir, 'qemu-counted', `#!/bin/sh\necho x >> ${counter}\nexec ${QEMU} "$@"\n`);
  return { binary, starts: () => readFileSync(counter, 'utf8').length / 2 };
}

function probe(home: string, qemu: string, more: Record<string, string> = {}): Promise<Probed> {
  return probeHost({
    questions: { paths: [], interfaces: [], programs: [] },
    settings: { qemu, firmwareDirs: [] },
    env: { HOME: home, ...more },
  });
}

describe('probeHost', () => {
  it('describes this machine and its user', async () => {
    const home = scratch();
    const env = {
      HOME: home,
      PATH: '/usr/bin',
      DISPLAY: ':7',
      WAYLAND_DISPLAY: '',
      PULSE_SERVER: 'unix:/p',
      EDITOR: 'vi',
    };
    const { facts } = await probeHost({
      questions: { paths: ['/dev/null', home], interfaces: [], programs: [] },
      env,
    });
    expect(facts).toMatchObject({
      format: 1,
      user: { uid: process.getuid?.(), gid: process.getgid?.(), name: userInfo().username, home },
      dirs: { state: `${home}/.local/state/ezvm`, cache: `${home}/.cache/ezvm`, config: `${home}/.config/ezvm` },
      memory: totalmem(),
      session: { DISPLAY: ':7', PULSE_SERVER: 'unix:/p' },
      paths: { '/dev/null': { kind: 'character' }, [home]: { kind: 'directory' } },
    });
    expect(facts.session).not.toHaveProperty('WAYLAND_DISPLAY');
    expect(facts.session).not.toHaveProperty('EDITOR');
    expect(facts.cpus).toBeGreaterThan(0);
    expect(facts.cpus).toBeLessThanOrEqual(cpus().length);
    for (const path of Object.values(facts.programs)) expect(existsSync(path)).toBe(true);
    expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
  });

  it("reads the user's firmware descriptors where settings name none, root's never", async () => {
    const home = scratch();
    const dir = join(home, '.config/qemu/firmware');
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, '01-broken.json'), '{');
    const { diagnostics } = await probeHost({
      questions: { paths: [], interfaces: [], programs: [] },
      env: { HOME: home },
    });
    expect(diagnostics.some(({ message }) => message.startsWith(join(dir, '01-broken.json')))).toBe(!IS_ROOT);
    const chosen = await probeHost({
      questions: { paths: [], interfaces: [], programs: [] },
      env: { HOME: home },
      settings: { firmwareDirs: [dir] },
    });
    expect(chosen.facts.firmware).toEqual([]);
    expect(chosen.diagnostics).toHaveLength(1);
  });

  it('goes on without QEMU, and says what is wrong with one that settings chose', async () => {
    const home = scratch();
    for (const qemu of [join(home, 'none'), 'qemu-system-x86_64', home]) {
      const { facts, diagnostics } = await probe(home, qemu);
      expect(facts.qemu).toBeUndefined();
      expect(facts.kvm).toEqual({ usable: false, reason: 'no QEMU is installed that could use it' });
      expect(diagnostics).toEqual([
        expect.objectContaining({
          code: 'program-invalid',
          message: `the setting for qemu is "${qemu}", which is no program that can be run`,
        }),
      ]);
      expect(await loadSchema(facts)).toBeUndefined();
    }
  });

  it('goes on without a QEMU that cannot be asked, and asks it again next time', async () => {
    const home = scratch();
    const counter = join(home, 'starts');
    const broken = program(
      home,
      'qemu',
      `#!/bin/sh\necho x >> ${counter}\necho "qemu: libbar.so missing" >&2; exit 127\n`,
    );
    for (const starts of [1, 2]) {
      const { facts, diagnostics } = await probe(home, broken);
      expect(facts.qemu).toBeUndefined();
      expect(diagnostics).toEqual([
        expect.objectContaining({
          code: 'qemu-unusable',
          message: `${broken} cannot be asked what it can do: libbar.so missing`,
        }),
      ]);
      expect(readFileSync(counter, 'utf8').length / 2).toBeGreaterThanOrEqual(starts);
    }
    expect(existsSync(join(home, '.cache/ezvm')) ? readdirSync(join(home, '.cache/ezvm')) : []).toEqual([]);
  });
});

describe.skipIf(NO_QEMU)('what is kept of the QEMU of this machine (left out where there is none)', () => {
  it('is asked for once', async () => {
    const home = scratch();
    const { binary, starts } = countingQemu(home);
    const cold = await probe(home, binary);
    const asked = starts();
    expect(asked).toBeGreaterThan(0);
    expect(cold.facts.qemu?.binary).toBe(binary);
    const warm = await probe(home, binary);
    expect(starts()).toBe(asked);
    expect(warm).toEqual(cold);
    const schema = await loadSchema(warm.facts);
    const askedAgain = starts();
    expect(askedAgain).toBeGreaterThan(asked);
    expect(schema?.version).toEqual(cold.facts.qemu?.version);
    expect(await loadSchema(warm.facts)).toEqual(schema);
    expect(starts()).toBe(askedAgain);
  });

  it('is not mistaken for the QEMU of other facts, which may bring their own', async () => {
    const { facts } = await probe(scratch(), QEMU);
    const schema = await loadSchema(facts);
    if (!facts.qemu || !schema) throw new Error('there is one');
    const other = { ...facts, qemu: { ...facts.qemu, version: { major: 99, minor: 0, micro: 0 } } };
    expect(await loadSchema(other)).toBeUndefined();
    expect(await loadSchema({ ...other, schema })).toBe(schema);
  });

  it.each<[string, (home: string, binary: string) => void]>([
    ['QEMU was replaced', (_, binary) => appendFileSync(binary, '\n')],
    ['QEMU was touched', (_, binary) => utimesSync(binary, 1, 1)],
    ['the cache is damaged', (home) => damage(home, (text) => text.slice(1))],
    ['the cache is of another format', (home) => damage(home, (text) => text.replace('"format":2', '"format":1'))],
    ['the cache is gone', (home) => rmSync(join(home, '.cache'), { recursive: true })],
    [
      'the kernel, the user or /dev/kvm is another',
      (home) => damage(home, (text) => text.replace('"key":"[', '"key":"[1,')),
    ],
  ])('is asked for anew when %s', async (_, change) => {
    const home = scratch();
    const { binary, starts } = countingQemu(home);
    const before = await probe(home, binary);
    const asked = starts();
    change(home, binary);
    const after = await probe(home, binary);
    expect(starts()).toBe(asked * 2);
    expect(after).toEqual(before);
    await probe(home, binary);
    expect(starts()).toBe(asked * 2);
  });

  it('is asked for anew when the modules beside it change', async () => {
    const home = scratch();
    mkdirSync(join(home, 'bin'));
    mkdirSync(join(home, 'lib/qemu'), { recursive: true });
    const { binary, starts } = countingQemu(join(home, 'bin'));
    await probe(home, binary);
    const asked = starts();
    writeFileSync(join(home, 'lib/qemu/ui-gtk.so'), '');
    await probe(home, binary);
    expect(starts()).toBe(asked * 2);
  });

  it('is told apart by the program behind a link', async () => {
    const home = scratch();
    const [one, two] = ['one', 'two'].map((name) => {
      mkdirSync(join(home, name));
      return countingQemu(join(home, name));
    });
    if (!one || !two) throw new Error('two were made');
    const link = join(home, 'qemu');
    symlinkSync(one.binary, link);
    await probe(home, link);
    rmSync(link);
    symlinkSync(two.binary, link);
    const { facts } = await probe(home, link);
    expect(facts.qemu?.binary).toBe(link);
    expect(two.starts()).toBe(one.starts());
  });

  it('is no error to lose: a cache that cannot be written is done without', async () => {
    const home = scratch();
    writeFileSync(join(home, 'file'), '');
    const { binary, starts } = countingQemu(home);
    const { facts, diagnostics } = await probe(home, binary, { XDG_CACHE_HOME: join(home, 'file') });
    expect(facts.qemu?.version).toBeDefined();
    expect(diagnostics).toEqual([]);
    const asked = starts();
    expect((await loadSchema(facts))?.version).toEqual(facts.qemu?.version);
    await probe(home, binary, { XDG_CACHE_HOME: join(home, 'file') });
    expect(starts()).toBeGreaterThan(asked);
  });

  it('lies in private files', async () => {
    const home = scratch();
    const { facts } = await probe(home, QEMU);
    await loadSchema(facts);
    const files = readdirSync(facts.dirs.cache);
    expect(files).toEqual(['usr-bin-qemu-system-x86_64.facts.json', 'usr-bin-qemu-system-x86_64.schema.json']);
    for (const file of files) expect(statSync(join(facts.dirs.cache, file)).mode & 0o777).toBe(0o600);
  });

  it('is quick to find again', async () => {
    const home = scratch();
    await probe(home, QEMU);
    const start = performance.now();
    for (let n = 0; n < 20; n++) await probe(home, QEMU);
    // About 0.5 ms each on the machine this was written on.
    expect((performance.now() - start) / 20).toBeLessThan(10);
  });

  it.skipIf(!IS_ROOT)(
    'serves an ordinary user as well, who may lack /dev/kvm (left out for ordinary users)',
    async () => {
      const script = `require('SRC/host/probe.ts').probeHost({ questions: { paths: [], interfaces: [], programs: [] } }).then(({ facts, diagnostics }) => console.log(JSON.stringify({ facts, diagnostics })))`;
      const { facts, diagnostics } = (await asStranger(script, {
        PATH: '/usr/bin:/bin:relative',
        HOME: '/nonexistent',
      })) as Probed;
      expect(diagnostics).toEqual([]);
      expect(facts.user).toEqual({ uid: STRANGER, gid: STRANGER, name: String(STRANGER), home: '/nonexistent' });
      expect(facts.dirs.run).toBe(`/tmp/ezvm-${STRANGER}`);
      expect(facts.qemu?.devices).toContain('virtio-blk-pci');
      if (!facts.kvm.usable) expect(facts.kvm.reason).toMatch(/\/dev\/kvm|virtual CPU/);
    },
  );
});

function damage(home: string, change: (text: string) => string): void {
  const dir = join(home, '.cache/ezvm');
  for (const name of readdirSync(dir)) {
    const text = readFileSync(join(dir, name), 'utf8');
    const changed = change(text);
    if (changed === text) throw new Error('nothing was damaged');
    writeFileSync(join(dir, name), changed);
  }
}

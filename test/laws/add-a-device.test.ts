import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';

/** The one file that CONTRIBUTING.md tells a reader to write: where it goes, and what is in it. */
const [, PATH = '', YAML = ''] =
  /```yaml\n# (templates\/devices\/\S+\.yaml)\n([\s\S]*?)```/.exec(
    readFileSync(join(CHECKOUT, 'CONTRIBUTING.md'), 'utf8'),
  ) ?? [];
const TYPE = /([^/]+)\.yaml$/.exec(PATH)?.[1] ?? '';

const HOST = join(CHECKOUT, 'test', 'hosts', 'laptop.json');
/** Without rights and without files. */
const NOBODY = 65534;

interface Ran {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

/** A reader's machine: the package in a folder of its own, and a home. */
class Reader {
  readonly root = mkdtempSync(join(tmpdir(), 'ezvm-reader-'));
  readonly package = join(this.root, 'package');
  readonly templates = join(this.root, 'config', 'ezvm', 'templates');
  readonly #uid = process.geteuid?.() === 0 ? NOBODY : undefined;

  constructor() {
    chmodSync(this.root, 0o755);
    for (const part of ['bin', 'src', 'templates', 'package.json', 'tsconfig.json'])
      cpSync(join(CHECKOUT, part), join(this.package, part), { recursive: true });
    // It may be there already.
    rmSync(join(this.package, PATH), { force: true });
    // The build tries out the program on an example.
    cpSync(join(CHECKOUT, 'etc'), join(this.package, 'etc'), {
      recursive: true,
      filter: (path) => !path.endsWith('/guest'),
    });
    symlinkSync(join(CHECKOUT, 'node_modules'), join(this.package, 'node_modules'));
    cpSync(HOST, join(this.root, 'host.json'));
  }

  /** Writes a file that belongs to the reader. */
  write(path: string, text: string): void {
    const missing: string[] = [path];
    for (let dir = dirname(path); dir.length > this.root.length; dir = dirname(dir)) missing.push(dir);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (this.#uid !== undefined) for (const each of missing) chownSync(each, this.#uid, this.#uid);
  }

  build(): Ran {
    return this.#run([join(this.package, 'bin', 'build.mjs')], undefined);
  }

  /** Runs ezvm as an ordinary user in the folder with the VM files. */
  ezvm(...argv: readonly string[]): Ran {
    return this.#run([join(this.package, 'bin', 'ezvm.js'), ...argv], this.#uid);
  }

  #run(words: readonly string[], uid: number | undefined): Ran {
    const { status, stdout, stderr } = spawnSync(process.execPath, words, {
      cwd: join(this.root),
      encoding: 'utf8',
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: join(this.root, 'home'),
        XDG_CACHE_HOME: join(this.root, 'home', 'cache'),
        XDG_CONFIG_HOME: join(this.root, 'config'),
        XDG_STATE_HOME: join(this.root, 'home', 'state'),
      },
      ...(uid !== undefined && { uid, gid: uid }),
    });
    return { exit: status, out: stdout, err: stderr };
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What every verb must know of the new device, wherever its file lies. */
function knowsTheDevice(reader: () => Reader, shownAs: () => string): void {
  const vm = (gpu: string): void =>
    reader().write(join(reader().root, 'vm.yaml'), `template: linux\nname: vm\ngpu: ${gpu}\n`);
  const run = (...argv: readonly string[]): Ran => reader().ezvm(...argv, 'vm.yaml', '--host', 'host.json');

  it('emits it', () => {
    vm(TYPE);
    const { exit, out, err } = run('args', '--pretty');
    expect(exit, err).toBe(0);
    expect(out).toContain('-device bochs-display,id=gpu,vgamem=16777216,bus=pcie.0,addr=1 \\\n');
    expect(out).not.toContain('virtio-vga');
  });

  it('takes its parameters, by their rules', () => {
    vm(`{ type: ${TYPE}, memory: 64M }`);
    expect(run('args', '--pretty').out).toContain('vgamem=67108864');
    vm(`{ type: ${TYPE}, memory: 64 }`);
    const { exit, err } = run('args');
    expect([exit, err]).toEqual([1, expect.stringMatching(/^vm\.yaml:3:\d+ {2}gpu\.memory is 64 bytes/)]);
  });

  it('shows, explains and checks it', () => {
    vm(`{ type: ${TYPE}, memory: 64M }`);
    expect(reader().ezvm('show', 'vm.yaml').out).toContain(`gpu:\n  type: ${TYPE}\n  memory: `);
    const explained = run('explain').out;
    expect(explained).toMatch(new RegExp(`^gpu\\.type = ${TYPE} +vm\\.yaml:3:\\d+`, 'm'));
    expect(explained).toMatch(/^gpu\.memory = 64M +vm\.yaml:3:\d+/m);
    vm(TYPE);
    expect(run('explain').out).toContain(`${shownAs()}:4:3`);
    expect(run('check')).toMatchObject({ exit: 0 });
  });

  it('knows what was meant by a slip', () => {
    vm(`{ type: ${TYPE}, memmory: 64M }`);
    expect(run('check')).toMatchObject({
      exit: 1,
      err: expect.stringMatching(/^vm\.yaml:3:\d+ [\s\S]*did you mean memory\?/),
    });
    vm(`${TYPE.slice(0, -1)}`);
    expect(run('check')).toMatchObject({
      exit: 1,
      err: expect.stringMatching(new RegExp(`^vm\\.yaml:3:\\d+ [\\s\\S]*did you mean ${TYPE}\\?`)),
    });
  });
}

const FAULTS: readonly (readonly [what: string, text: string, place: string])[] = [
  ['a reference misspelled', YAML.replace('${memory}', '${memroy}'), '6:47  ${memroy} names nothing'],
  ['a key that no template has', YAML.replace('slot:', 'slott:'), '1:1  the template: Unrecognized key: "slott"'],
  ['a slot of no machine', YAML.replace('slot: gpu', 'slot: gqu'), '2:1  no machine has places of the kind gqu'],
  ['a default that is none', YAML.replace('16M', 'plenty'), '4:39  the default of memory is "plenty"'],
  ['a requirement on nothing', `${YAML}requires: [bus/isa]\n`, '7:12  requires: there is no device bus/isa'],
  ['a slip in the YAML', YAML.replace('default: 16M,', 'default: 16M: ,'), '4:'],
];

describe('a device added by one file, as CONTRIBUTING.md tells', () => {
  it('is what CONTRIBUTING.md shows', () => {
    expect(PATH).toBe('templates/devices/gpu/bochs.yaml');
    expect(YAML.split('\n').length).toBeLessThan(10);
  });

  describe('among the package’s own templates', () => {
    let reader: Reader;
    beforeAll(() => {
      reader = new Reader();
      reader.write(join(reader.package, PATH), YAML);
      expect(reader.build()).toMatchObject({ exit: 0, err: '' });
    });
    afterAll(() => reader.remove());

    knowsTheDevice(
      () => reader,
      () => PATH,
    );

    it.each(FAULTS)('is refused by the build for %s', (_, text, place) => {
      reader.write(join(reader.package, PATH), text);
      const { exit, err } = reader.build();
      expect([exit, err]).toEqual([1, expect.stringContaining(`${PATH}:${place}`)]);
    });
  });

  describe(`in the user's own folder${process.geteuid?.() === 0 ? ', who is not root' : ''}`, () => {
    let reader: Reader;
    let file: string;
    beforeAll(() => {
      reader = new Reader();
      expect(reader.build()).toMatchObject({ exit: 0, err: '' });
      file = join(reader.templates, PATH.replace(/^templates\//, ''));
      reader.write(file, YAML);
      mkdirSync(join(reader.root, 'home'));
      reader.write(join(reader.root, 'home', '.keep'), '');
    });
    afterAll(() => reader.remove());

    knowsTheDevice(
      () => reader,
      () => file,
    );

    it.each(FAULTS)('is refused for %s', (_, text, place) => {
      reader.write(file, text);
      const { exit, err } = reader.ezvm('args', 'vm.yaml', '--host', 'host.json');
      expect([exit, err]).toEqual([1, expect.stringContaining(`${file}:${place}`)]);
    });
  });
});

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Built, LAPTOP_HOST } from './built.ts';

const isRoot = process.geteuid?.() === 0;

let program: Built;
beforeAll(() => {
  program = new Built();
  program.write('vm.yaml', 'template: linux\n');
});
afterEach(() => rmSync(program.config, { recursive: true, force: true }));
afterAll(() => program.remove());

const show = () => program.run(['show', 'vm.yaml', '--json']);

describe('settings', () => {
  it('lie under every VM, with their places', () => {
    program.write(join(program.config, 'ezvm.yaml'), 'vm:\n  memory: 3G\n  cpu: 7\n');
    const { exit, out, err } = show();
    expect(exit, err).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ memory: { size: '3G' }, cpu: { cores: 7 } });
    expect(program.run(['explain', 'vm.yaml', 'cpu.cores', '--host', LAPTOP_HOST]).out).toContain(
      `${program.config}/ezvm.yaml:3:8`,
    );
  });

  it.each([
    ['an unknown setting', 'programms: {}\n', '1:1', 'there is no setting programms'],
    ['a relative program', 'programs: { swtpm: swtpm }\n', '1:20', 'programs.swtpm: an absolute path is wanted'],
    ['no map of a VM', 'vm: 5\n', '1:5', 'vm is no map; it takes what a VM file takes'],
    ['an unknown key of VMs', 'vm:\n  cpus: 5\n', '2:3', 'there is no section "cpus"'],
    ['a value that is wrong', 'vm:\n  memory: x\n', '2:11', 'memory.size is "x"; a size'],
    ['no YAML', 'vm: [\n', '1:5', 'the bracket that opens here is never closed'],
    ['a list', '- vm\n', '1:1', 'the file holds a list, not settings'],
    ['too much', 'vm: 1\n'.repeat(200_000), '1:1', 'the most that is read'],
  ])('with %s are refused at their place', (_, text, place, message) => {
    const file = program.write(join(program.config, 'ezvm.yaml'), text);
    const { exit, err } = show();
    expect(exit).toBe(1);
    expect(err).toContain(`${file}:${place}  `);
    expect(err).toContain(message);
  });

  it('that could be another’s are refused, and so is their folder', () => {
    const file = program.write(join(program.config, 'ezvm.yaml'), 'vm: {}\n');
    chmodSync(file, 0o666);
    expect(show()).toMatchObject({ exit: 1, err: expect.stringContaining('could have been written by someone else') });
    chmodSync(file, 0o600);
    chmodSync(program.config, 0o777);
    expect(show()).toMatchObject({
      exit: 1,
      err: expect.stringContaining(`${program.config} could have been written by someone else`),
    });
    chmodSync(program.config, 0o700);
    expect(show().exit).toBe(0);
  });

  it.skipIf(!isRoot)('that are another’s are refused (left out: only root can give files away)', () => {
    const file = program.write(join(program.config, 'ezvm.yaml'), 'vm: {}\n');
    chownSync(file, 12345, 12345);
    expect(show()).toMatchObject({ exit: 1, err: expect.stringContaining('could have been written by someone else') });
  });

  it('that are a FIFO or a folder are not waited for', () => {
    mkdirSync(program.config, { recursive: true });
    spawnSync('mkfifo', [join(program.config, 'ezvm.yaml')]);
    expect(show()).toMatchObject({ exit: 1, err: expect.stringContaining('is no ordinary file') });
    rmSync(join(program.config, 'ezvm.yaml'));
    mkdirSync(join(program.config, 'ezvm.yaml'));
    expect(show()).toMatchObject({ exit: 1, err: expect.stringContaining('is no ordinary file') });
  });

  it('are never code, wherever it lies and whatever it is called', () => {
    const proof = join(program.dir, 'ran');
    const code = `require('node:fs').writeFileSync(${JSON.stringify(proof)}, __filename); module.exports = {};`;
    const module = `import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(proof)}, import.meta.url); export default {};`;
    const names = [
      'ezvm.config',
      '.ezvmrc',
      'ezvm',
      '.config/config',
      '.config/ezvmrc',
      '.config/ezvm.config',
      '.ezvm',
    ];
    const places = [
      program.dir,
      program.config,
      join(program.dir, '..'),
      join(program.config, '..'),
      join(program.dir, '../home'),
    ];
    const parcel = JSON.stringify({
      name: 'x',
      main: './ezvm.config.cjs',
      ezvm: { $import: './ezvm.config.cjs', vm: { memory: '9G' } },
      cosmiconfig: { searchPlaces: ['ezvm.config.cjs'], loaders: {} },
    });
    for (const place of places) {
      for (const name of names) {
        for (const ending of ['.js', '.cjs']) program.write(join(place, name + ending), code);
        for (const ending of ['.mjs', '.ts']) program.write(join(place, name + ending), module);
      }
      program.write(
        join(place, '.config/config.json'),
        JSON.stringify({ cosmiconfig: { searchPlaces: ['ezvm.config.cjs'] } }),
      );
      program.write(join(place, '.config/config.yaml'), 'cosmiconfig:\n  searchPlaces: [ezvm.config.cjs]\n');
      program.write(join(place, 'package.json'), parcel);
      program.write(join(place, 'package.yaml'), 'cosmiconfig:\n  searchPlaces: [ezvm.config.cjs]\n');
    }
    program.write(join(program.config, 'ezvm.yaml'), 'vm: { memory: 3G }\n');
    for (const argv of [
      ['show', 'vm.yaml', '--json'],
      ['check', 'vm.yaml', '--host', LAPTOP_HOST],
      ['list'],
      ['args', 'vm.yaml', '--host', LAPTOP_HOST],
    ]) {
      const { exit, err } = program.run(argv);
      expect(exit, err).toBe(0);
      expect(existsSync(proof)).toBe(false);
    }
    expect(JSON.parse(show().out)).toMatchObject({ memory: { size: '3G' } });
    // Without settings of YAML, too.
    rmSync(join(program.config, 'ezvm.yaml'));
    expect(JSON.parse(show().out)).toMatchObject({ memory: { size: '2G' } });
    expect(existsSync(proof)).toBe(false);
    for (const place of [join(program.dir, '..'), join(program.dir, '../home'), join(program.config, '..')])
      rmSync(join(place, 'package.json'));
  });

  it('that are no map of strange keys change no prototype', () => {
    program.write(join(program.config, 'ezvm.yaml'), 'constructor: 1\n');
    expect(show()).toMatchObject({ exit: 1, err: expect.stringContaining('there is no setting constructor') });
  });
});

describe('templates of the user’s own', () => {
  // Root takes templates only from places that root alone can write.
  const owner = isRoot ? 65_534 : undefined;

  it.skipIf(!isRoot)('that everybody can write are refused (left out: only root can be another user)', () => {
    chmodSync(join(program.dir, '..'), 0o755);
    const file = program.write(join(program.config, 'templates/os/mine.yaml'), 'summary: mine\ncpu: 5\n');
    const { HOME = '' } = program.env;
    spawnSync('chown', ['-R', `${owner}:${owner}`, HOME]);
    program.write('mine.yaml', 'template: mine\n');
    const run = () => program.run(['show', 'mine.yaml', '--json'], { ...(owner !== undefined && { uid: owner }) });
    const taken = run();
    expect(taken.exit, taken.err).toBe(0);
    expect(JSON.parse(taken.out)).toMatchObject({ cpu: { cores: 5 } });
    chmodSync(file, 0o666);
    expect(run()).toMatchObject({
      exit: 1,
      err: expect.stringContaining(`${file} could have been written by someone else`),
    });
    spawnSync('chown', ['-R', '0:0', HOME]);
  });

  it.skipIf(!isRoot)('are no business of root’s (left out: not run by root)', () => {
    program.write(join(program.config, 'templates/os/mine.yaml'), 'summary: mine\ncpu: 5\n');
    program.write('mine.yaml', 'template: mine\n');
    expect(program.run(['show', 'mine.yaml'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('there is no template "mine"'),
    });
  });
});

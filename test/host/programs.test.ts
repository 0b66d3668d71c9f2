import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findDirs } from '../../src/host/dirs.ts';
import { findProgram, findPrograms, isExecutable, programDirs } from '../../src/host/programs.ts';
import { program, STRANGER, scratch } from './scratch.ts';

describe('programDirs', () => {
  it('takes the absolute directories of PATH, each once', () => {
    const dir = scratch();
    mkdirSync(join(dir, 'a'));
    mkdirSync(join(dir, 'b'));
    symlinkSync('a', join(dir, 'link'));
    const path = [join(dir, 'b'), '', '.', 'bin', join(dir, 'a'), join(dir, 'none'), join(dir, 'link'), join(dir, 'b')];
    expect(programDirs(path.join(':'), 1000)).toEqual([join(dir, 'b'), join(dir, 'a')]);
  });

  it('passes over what cannot be looked at', () => {
    const dir = scratch();
    symlinkSync('loop', join(dir, 'loop'));
    expect(programDirs(`${join(dir, 'loop')}:${dir}`, 1000)).toEqual([dir]);
    const { run } = findDirs({ XDG_RUNTIME_DIR: join(dir, 'loop') }, { uid: 1000, home: '/home/a' });
    expect(run).toBe('/tmp/ezvm-1000');
  });

  it("does not look at root's PATH", () => {
    const dir = scratch();
    expect(programDirs(dir, 0)).toContain('/usr/bin');
    expect(programDirs(dir, 0)).not.toContain(dir);
    expect(programDirs(undefined, 1000)).toContain('/usr/bin');
  });
});

describe('findPrograms', () => {
  it('takes the first executable file of a name', () => {
    const [a, b] = [scratch(), scratch()];
    mkdirSync(join(a, 'swtpm'));
    program(b, 'swtpm');
    chmodSync(program(a, 'passt'), 0o644);
    program(b, 'passt');
    program(a, 'spicy');
    program(b, 'spicy');
    expect(findProgram('swtpm', [a, b])).toBe(join(b, 'swtpm'));
    const { programs, diagnostics } = findPrograms([a, b], {});
    expect(programs).toMatchObject({ swtpm: join(b, 'swtpm'), passt: join(b, 'passt'), spicy: join(a, 'spicy') });
    expect(programs).not.toHaveProperty('vncviewer');
    expect(diagnostics).toEqual([]);
  });

  it('lets settings choose, add and be wrong', () => {
    const [dir, own] = [scratch(), scratch()];
    program(dir, 'swtpm');
    const chosen = {
      swtpm: program(own, 'my-swtpm'),
      'my-viewer': program(own, 'v'),
      passt: join(own, 'none'),
      spicy: 'v',
      'qemu-img': own,
    };
    const { programs, diagnostics } = findPrograms([dir], chosen);
    expect(programs).toMatchObject({ swtpm: join(own, 'my-swtpm'), 'my-viewer': join(own, 'v') });
    // Told by what wants to run them.
    expect(programs).toMatchObject({ passt: join(own, 'none'), 'qemu-img': own });
    expect(programs).not.toHaveProperty('spicy');
    expect(diagnostics.map(({ severity, code, message }) => [severity, code, message])).toEqual([
      ['warning', 'program-invalid', `the setting for spicy is "v", which is no program that can be run`],
    ]);
  });

  it('asks for a file, not a directory', () => {
    const dir = scratch();
    expect(isExecutable(dir)).toBe(false);
    expect(isExecutable(join(dir, 'none'))).toBe(false);
    expect(isExecutable(program(dir, 'x'))).toBe(true);
  });
});

describe('findDirs', () => {
  const user = { uid: process.getuid?.() ?? 0, home: '/home/alice' };

  it('follows the XDG base directories, absolute ones only', () => {
    const dir = scratch();
    expect(
      findDirs(
        { XDG_RUNTIME_DIR: `${dir}/`, XDG_STATE_HOME: '/s/', XDG_CACHE_HOME: 'relative', XDG_CONFIG_HOME: '' },
        user,
      ),
    ).toEqual({
      run: `${dir}/ezvm`,
      state: '/s/ezvm',
      cache: '/home/alice/.cache/ezvm',
      config: '/home/alice/.config/ezvm',
    });
  });

  it("has a place for sockets without XDG_RUNTIME_DIR, or where it is not the user's", () => {
    const dir = scratch();
    expect(findDirs({}, { uid: 0, home: '/root' }).run).toBe('/run/ezvm');
    expect(findDirs({}, { uid: STRANGER, home: '/h' }).run).toBe(`/tmp/ezvm-${STRANGER}`);
    expect(findDirs({ XDG_RUNTIME_DIR: 'run' }, { uid: STRANGER, home: '/h' }).run).toBe(`/tmp/ezvm-${STRANGER}`);
    expect(findDirs({ XDG_RUNTIME_DIR: dir }, { uid: STRANGER, home: '/h' }).run).toBe(`/tmp/ezvm-${STRANGER}`);
    expect(findDirs({ XDG_RUNTIME_DIR: join(dir, 'none') }, { uid: STRANGER, home: '/h' }).run).toBe(
      join(dir, 'none/ezvm'),
    );
  });
});

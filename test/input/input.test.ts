import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { readDevice } from '../../src/catalog/catalog.ts';
import type { TemplateSource } from '../../src/catalog/template.ts';
import { EzvmError } from '../../src/core/diagnostic.ts';
import type { SourceDoc } from '../../src/core/source.ts';
import { isFileRef, listVmFiles, locate } from '../../src/input/locate.ts';
import { readText } from '../../src/input/read.ts';
import { directoryTemplates, stackTemplates, templateFiles } from '../../src/input/templates.ts';
import { refuseUntrusted, refuseUntrustedTree } from '../../src/input/trust.ts';
import { parse } from '../../src/model/parse.ts';

const root = mkdtempSync(join(tmpdir(), 'ezvm-input-'));
const isRoot = process.geteuid?.() === 0;
let scratch = '';
let count = 0;
beforeEach(() => {
  scratch = join(root, String(count++));
  mkdirSync(scratch);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array = 'template: linux\n'): string {
  const path = join(scratch, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** What an expected failure says. */
function said(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (!(error instanceof EzvmError)) throw error;
    const [{ message = '', help } = {}] = error.diagnostics;
    return help === undefined ? message : `${message} (${help})`;
  }
  return 'nothing';
}

describe('a VM', () => {
  it('is looked for here first, then among the user’s own', () => {
    const config = join(scratch, 'config');
    write('config/vms/both.yaml');
    write('config/vms/own.yaml');
    write('both.yaml');
    expect(locate('both', scratch, config)).toEqual({
      shown: 'both.yaml',
      absolute: join(scratch, 'both.yaml'),
      stem: 'both',
    });
    expect(locate('own', scratch, config).absolute).toBe(join(config, 'vms/own.yaml'));
    expect(said(() => locate('nosuchvm', scratch, config))).toBe(
      `there is no VM nosuchvm (looked for nosuchvm.yaml, ${config}/vms/nosuchvm.yaml, /etc/ezvm/vms/nosuchvm.yaml)`,
    );
    expect(said(() => locate('onw', scratch, config))).toBe('there is no VM onw (did you mean own?)');
  });

  it('is a file and nothing else where there is a slash or an ending', () => {
    const config = join(scratch, 'config');
    write('config/vms/vm.yaml');
    write('sub/vm.yaml');
    expect(locate('sub/vm.yaml', scratch, config)).toMatchObject({ shown: 'sub/vm.yaml', stem: 'vm' });
    expect(locate(join(scratch, 'sub/vm.yaml'), '/', config).stem).toBe('vm');
    for (const ref of ['vm.yaml', './vm', '../vm.yaml', 'vm.yml']) {
      expect(isFileRef(ref)).toBe(true);
      expect(said(() => locate(ref, scratch, config))).toMatch(/^there is no file /);
    }
  });

  it.each(['..', '.', '-x', 'a b', 'a\nb', 'ä', '', '~', '*', 'a'.repeat(65)])('is never called %j', (name) => {
    expect(said(() => locate(name, scratch, scratch))).toMatch(
      /is no VM name \(a name has letters, digits and \. _ - only/,
    );
  });

  it('may be a link, and is passed over where it is a directory', () => {
    write('real.yaml');
    symlinkSync('real.yaml', join(scratch, 'link.yaml'));
    symlinkSync('nothing', join(scratch, 'broken.yaml'));
    mkdirSync(join(scratch, 'folder.yaml'));
    write('config/vms/folder.yaml');
    expect(locate('link', scratch, scratch).stem).toBe('link');
    expect(locate('folder', scratch, join(scratch, 'config')).absolute).toContain('config/vms');
    expect(said(() => locate('folder.yaml', scratch, scratch))).toBe('folder.yaml is a directory; a VM file is wanted');
    expect(said(() => locate('broken.yaml', scratch, scratch))).toMatch(/^there is no file broken\.yaml/);
  });

  it('is no FIFO, at which one would wait for ever', () => {
    expect(spawnSync('mkfifo', [join(scratch, 'pipe.yaml')]).status).toBe(0);
    expect(said(() => locate('pipe.yaml', scratch, scratch))).toBe(
      'pipe.yaml is no ordinary file; a VM file is wanted',
    );
  });

  it('is listed by name, the nearest only, and only where its name could be used', () => {
    const config = join(scratch, 'config');
    write('a.yaml');
    write('not-a-vm.yaml', 'services: []\n');
    write('evil \u001b[31m.yaml');
    spawnSync('mkfifo', [join(scratch, 'pipe.yaml')]);
    symlinkSync('nothing', join(scratch, 'broken.yaml'));
    write('config/vms/a.yaml');
    write('config/vms/b.yaml', '# no template\n');
    expect(listVmFiles(scratch, config).map(({ stem, shown }) => [stem, shown])).toEqual([
      ['a', 'a.yaml'],
      ['b', `${config}/vms/b.yaml`],
    ]);
  });
});

describe('a file', () => {
  it('is read as UTF-8, without its mark', () => {
    expect(readText(write('a', '\ufeffgrün\r\n日本😀\ufffd'), 'a')).toBe('grün\r\n日本😀\ufffd');
  });

  it.each<[string, string | Uint8Array, string]>([
    [
      'large',
      'x'.repeat(1024 * 1024 + 1),
      'a has 1048577 bytes; 1048576 is the most that is read (this does not look like a VM file: give the YAML file, not a disk image)',
    ],
    ['Latin-1', Buffer.from('ab\nc\xe9', 'latin1'), 'the file is not UTF-8 text (save it as UTF-8)'],
    ['cut short', Buffer.from([0x61, 0xe2, 0x82]), 'the file is not UTF-8 text (save it as UTF-8)'],
    ['a surrogate in bytes', Buffer.from([0xed, 0xa0, 0x80]), 'the file is not UTF-8 text (save it as UTF-8)'],
  ])('that is %s is refused', (_, content, message) => {
    const path = write('a', content);
    expect(said(() => readText(path, 'a'))).toBe(message);
  });

  it('that is not there or no file is refused', () => {
    expect(said(() => readText(join(scratch, 'no'), 'no'))).toMatch(/^there is no file no$/);
    expect(said(() => readText(scratch, 'dir'))).toMatch(/^dir cannot be read: it is a directory$/);
  });

  it('that became a FIFO meanwhile is not waited for', () => {
    spawnSync('mkfifo', [join(scratch, 'pipe')]);
    expect(readText(join(scratch, 'pipe'), 'pipe')).toBe('');
  });
});

describe('templates of one’s own', () => {
  const source = (dir: string) => directoryTemplates(dir, dir, (text, file) => parse(text, file).doc);

  it('lie over others, file by file', () => {
    write('own/os/linux.yaml', 'summary: mine\n');
    write('own/os/mine.yaml', 'summary: mine\n');
    write('own/notes.txt', 'no template');
    write('package/os/linux.yaml', 'summary: package\n');
    write('package/devices/rng/virtio.yaml', 'summary: package\n');
    const stack = stackTemplates([source(join(scratch, 'own')), source(join(scratch, 'package'))]);
    expect(stack.read('os/linux.yaml')?.file).toBe(join(scratch, 'own/os/linux.yaml'));
    expect(stack.read('devices/rng/virtio.yaml')?.file).toContain('package');
    expect(stack.read('os/none.yaml')).toBeUndefined();
    expect(stack.list('os')).toEqual(['linux', 'mine']);
    expect(stack.folders()).toEqual(['devices/rng', 'os']);
  });

  it('of one’s own stand before those that the build made ready', () => {
    const [path, type] = ['devices/rng/virtio.yaml', 'virtio'];
    const read = (text: string): SourceDoc => parse(text, path).doc;
    const ready = readDevice(read('summary: built'), type, () => undefined);
    const list = { list: () => [type], folders: () => ['devices/rng'] };
    const built: TemplateSource = { ...list, read: () => read('summary: built'), device: () => ready };
    const own: TemplateSource = { ...list, read: () => read('summary: own') };
    expect(stackTemplates([built]).device?.(path)).toBe(ready);
    expect(stackTemplates([own, built]).device?.(path)).toBeUndefined();
  });

  it('are files of that folder, not links out of it', () => {
    write('own/os/mine.yaml');
    write('secret.yaml');
    symlinkSync(join(scratch, 'secret.yaml'), join(scratch, 'own/os/link.yaml'));
    expect(templateFiles(join(scratch, 'own'))).toEqual(['os/mine.yaml']);
  });
});

describe('what names programs to run', () => {
  const me = process.geteuid?.() ?? 0;

  it('is trusted where only its user and root can write', () => {
    const path = write('own/ezvm.yaml');
    // For root, what a group can write is somebody else's, too.
    for (const mode of isRoot ? [0o600, 0o644] : [0o600, 0o644, 0o664]) {
      chmodSync(path, mode);
      expect(said(() => refuseUntrusted(path, me))).toBe('nothing');
    }
  });

  it('is not trusted where everybody can write', () => {
    const path = write('own/os/a b.yaml');
    const chmod = `chmod ${isRoot ? 'go' : 'o'}-w '${path}'`;
    const message = `${path} could have been written by someone else, and it can name programs to run (${chmod})`;
    chmodSync(path, 0o666);
    expect(said(() => refuseUntrusted(path, me))).toBe(message);
    expect(said(() => refuseUntrustedTree(join(scratch, 'own'), me))).toBe(message);
    chmodSync(path, 0o600);
    chmodSync(join(scratch, 'own/os'), 0o777);
    expect(said(() => refuseUntrustedTree(join(scratch, 'own'), me))).toContain('/own/os could have been written');
  });

  it.skipIf(!isRoot)('is not trusted by root where a group can write (left out: only root has files of root)', () => {
    const path = write('own/ezvm.yaml');
    chmodSync(path, 0o664);
    expect(said(() => refuseUntrusted(path, 0))).toContain(`(chmod go-w ${path})`);
  });

  it.skipIf(!isRoot)('is not trusted where it is another user’s (left out: only root can give files away)', () => {
    const path = write('own/ezvm.yaml');
    chownSync(path, 12345, 12345);
    expect(said(() => refuseUntrusted(path, 0))).toMatch(
      /could have been written by someone else.*look at what it says, then: chown 0 /,
    );
    expect(said(() => refuseUntrusted(path, 12345))).toBe('nothing');
  });
});

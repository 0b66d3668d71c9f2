import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERBS, type Verbs } from '../../src/cli/registry.ts';
import { CHECKOUT } from '../checkout.ts';
import { hostileText, inYaml } from '../hostile-text.ts';
import { BARE_HOST, Built, LAPTOP_HOST } from './built.ts';

const RECORDINGS = join(CHECKOUT, '../shared/cases/qemu-capabilities');
const SCRIPT = '/usr/bin/script';

/** Every verb with the words it is called by. */
const CALLED = calledVerbs(VERBS);

function calledVerbs(verbs: Verbs): [string, () => Promise<{ verb: { flags: object } }>][] {
  return Object.entries(verbs).flatMap(([name, entry]) =>
    'load' in entry
      ? [[name, entry.load] as [string, typeof entry.load]]
      : calledVerbs(entry.verbs).map(([inner, load]): [string, typeof load] => [`${name} ${inner}`, load]),
  );
}

let program: Built;
beforeAll(() => {
  program = new Built();
  program.write('vm.yaml', 'template: linux\nuuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7\ndisks: [a.raw]\n');
  program.write('bad.yaml', 'template: linux\ncpu: x\n');
});
afterAll(() => program.remove());

describe('help', () => {
  it('of the program names every verb, an example and the exit codes', () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { exit, out, err } = program.run(argv);
      expect([exit, err]).toEqual([0, '']);
      for (const verb of Object.keys(VERBS)) expect(out).toMatch(new RegExp(`^  ${verb} `, 'm'));
      expect(out).toMatch(/^Usage: /m);
      expect(out).toMatch(/^Example: /m);
      for (const code of [0, 1, 2, 3, 4, 70]) expect(out).toMatch(new RegExp(`\\b${code}\\b`));
    }
  });

  it('is what one gets who says nothing, with another exit code', () => {
    const { exit, out, err } = program.run([]);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toMatch(/^Usage: /m);
  });

  it.each(CALLED)('of %s has its usage, every flag and an example that is right', async (name, load) => {
    const words = name.split(' ');
    const { exit, out, err } = program.run([...words, '--help']);
    expect([exit, err]).toEqual([0, '']);
    expect(out).toMatch(new RegExp(`^Usage: ezvm ${name}\\b`, 'm'));
    expect(out).toMatch(new RegExp(`^Example: .*ezvm (${name}\\b|windows)`, 'm'));
    expect(out).toContain('-h, --help');
    const { verb } = await load();
    for (const flag of Object.keys(verb.flags)) expect(out).toMatch(new RegExp(`--${flag}\\b`));
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
    for (const argv of [
      ['help', ...words],
      [...words, '-h'],
      [...words, 'vm.yaml', '--help'],
    ])
      expect(program.run(argv).out).toBe(out);
  });

  it('of a word before several verbs names them', () => {
    const { exit, out } = program.run(['setup', '--help']);
    expect(exit).toBe(0);
    for (const name of ['group', 'undo']) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect(program.run(['setup'])).toMatchObject({ exit: 2, out: '', err: out });
  });
});

describe('a slip', () => {
  it.each([
    [['chek', 'vm.yaml'], 'there is no verb "chek"', 'did you mean check?'],
    [['frobnicate', 'vm.yaml'], 'there is no verb "frobnicate"', 'see: ezvm --help'],
    [['setup', 'gruop'], 'there is no verb "setup gruop"', 'did you mean setup group?'],
    [['setup', 'group', '--aply'], 'ezvm setup group has no flag --aply', 'did you mean --apply?'],
    [['check', 'vm.yaml', '--jsno'], 'ezvm check has no flag --jsno', 'did you mean --json?'],
    [['check', 'vm.yaml', '-x'], 'ezvm check has no flag -x', 'it has --set, --host, --json, --untrusted, --help'],
    [['start', '-f', '--bogus', 'vm.yaml'], 'ezvm start has no flag --bogus', 'it has'],
    [['--bogus'], 'ezvm start has no flag --bogus', 'it has'],
    [['check', 'vm.yaml', '--set'], '--set takes a value', '--set=KEY=VALUE'],
    [['check', 'vm.yaml', '--json=1'], '--json takes no value', 'ezvm check --help'],
    [['check'], 'something is missing: ezvm check FILE|NAME', 'as in: ezvm check'],
    [['check', 'a', 'b'], '"b" is one word too many: ezvm check FILE|NAME', 'as in: ezvm check'],
    [['check', 'vm.yaml', '--set', 'cpu'], '--set cpu is not KEY=VALUE', 'as in --set cpu.cores=8'],
    [['check', 'vm.yaml', '--set', '__proto__.x=1'], '--set __proto__.x=1 is not KEY=VALUE', 'as in --set'],
    [['check', 'vm.yaml', '--set', '=1'], '--set =1 is not KEY=VALUE', 'as in --set'],
    [['qmp', 'vm', 'quit', '{'], '{ is no JSON object', `as in '{"id": "usb0"}'`],
    [['stop', 'vm', '--timeout', 'soon'], '--timeout soon is no number of seconds', ''],
    [['status', 'a b'], '"a b" is no VM name', ''],
  ])('in %j is told with what was meant', (argv, message, help) => {
    const { exit, out, err } = program.run(argv);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toContain(`error: ${message}\n`);
    expect(err).toContain(help);
  });

  it('may be a verb or a VM where it is one word', () => {
    const { exit, err } = program.run(['stats']);
    expect(exit).toBe(1);
    expect(err).toMatch(/^error: there is no VM stats$/m);
    expect(err).toMatch(/or did you mean the verb status\?$/m);
  });
});

describe('exit codes', () => {
  it.each([
    ['0 for what is well', ['args', 'vm.yaml', '--host', LAPTOP_HOST], 0],
    ['1 for a fault in the file', ['check', 'bad.yaml'], 1],
    ['1 for a file that is not there', ['args', 'none.yaml'], 1],
    ['2 for wrong use', ['args'], 2],
    ['4 for a VM that is not running', ['monitor', 'vm', 'info', 'status'], 4],
    ['4 for the state of a VM that is not running', ['status', 'vm'], 4],
    ['4 for stopping what does not run', ['stop', 'vm'], 4],
    ['1 for facts that are none', ['args', 'vm.yaml', '--host', 'vm.yaml'], 1],
    ['1 for facts that are not there', ['args', 'vm.yaml', '--host', 'none.json'], 1],
    ['3 for a disk that is missing', ['check', 'vm.yaml'], 3],
  ])('are %s', (_, argv, exit) => {
    const ran = program.run(argv);
    expect(ran.exit, ran.err).toBe(exit);
    if (exit !== 0) expect(ran.err + ran.out).toMatch(/\S/);
  });

  it('are 70 for a bug, which is called one', () => {
    const broken = new Built();
    broken.write('vm.yaml', 'template: linux\n');
    broken.write(join(broken.dist, 'templates.json'), '{"sections.yaml":[0,3]}\n{]}');
    const { exit, out, err } = broken.run(['show', 'vm.yaml']);
    expect([exit, out]).toEqual([70, '']);
    expect(err).toMatch(/^This is a bug in ezvm; please report it/);
    broken.remove();
  });
});

describe('check', () => {
  it('begins each fault with FILE:LINE:COLUMN, on stderr', () => {
    const { out, err } = program.run(['check', 'bad.yaml']);
    expect(out).toBe('');
    expect(err).toBe(
      'bad.yaml:2:6  cpu.cores is "x"; a whole number from 1 to 1024 is wanted\n    2 | cpu: x\n      |      ^\n',
    );
  });

  it('gives the same as JSON, on stdout', () => {
    const { exit, out } = program.run(['check', 'bad.yaml', '--json']);
    expect(exit).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        severity: 'error',
        code: 'value-wrong',
        message: expect.stringContaining('cpu.cores'),
        origin: { file: 'bad.yaml', line: 2, column: 6 },
      },
    ]);
  });

  it('names the file as it was given', () => {
    for (const ref of ['./bad.yaml', join(program.dir, 'bad.yaml'), '../here/bad.yaml'])
      expect(program.run(['check', ref]).err).toMatch(new RegExp(`^${ref.replaceAll('.', '\\.')}:2:6  `));
  });

  it('says the same the second time, when caches are warm', () => {
    const first = program.run(['check', 'vm.yaml', '--host', LAPTOP_HOST]);
    expect(program.run(['check', 'vm.yaml', '--host', LAPTOP_HOST])).toMatchObject({
      exit: first.exit,
      out: first.out,
      err: first.err,
    });
  });
});

describe('args', () => {
  it('as JSON is what scripts rely on', () => {
    program.write('tpm.yaml', 'template: windows-11\ndisks: [a.raw]\n');
    const { exit, out } = program.run(['args', 'tpm.yaml', '--json', '--host', LAPTOP_HOST]);
    const printed = JSON.parse(out) as { qemu: string[]; sidecars: { name: string; argv: string[]; when: string }[] };
    expect(exit).toBe(0);
    expect(Object.keys(printed)).toEqual(['qemu', 'sidecars']);
    expect(printed.qemu[0]).toMatch(/^\/.*qemu-system-x86_64$/);
    expect(printed.qemu.every((word) => typeof word === 'string')).toBe(true);
    expect(printed.sidecars.map((sidecar) => Object.keys(sidecar))).toEqual([
      ['name', 'argv', 'when'],
      ['name', 'argv', 'when'],
    ]);
    expect(printed.sidecars.map(({ name, when }) => [name, when])).toEqual([
      ['swtpm', 'before'],
      ['viewer', 'after'],
    ]);
  });

  it.each([[], ['--pretty']])('is one option a line, and a shell makes the very argv of it %j', (...flags) => {
    fc.assert(
      fc.property(hostileText(), hostileText(), hostileText(), (serial, file, word) => {
        const path = inYaml(`${file}/x.raw`);
        program.write(
          'nasty.yaml',
          `uuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7\nsmbios: { serial: ${inYaml(serial)} }\ndisks: [${path}]\nqemu: { args: ["-fw_cfg", ${inYaml(word)}] }\n`,
        );
        const { exit, out, err } = program.run(['args', 'nasty.yaml', '--host', LAPTOP_HOST, ...flags]);
        expect(exit, err).toBe(0);
        const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${out}`], { encoding: 'utf8' });
        const words = stdout.split('\0').slice(0, -1);
        expect(words.at(-1)).toBe(word);
        const planned = JSON.parse(program.run(['plan', 'nasty.yaml', '--json', '--host', LAPTOP_HOST]).out) as {
          qemu: { argv: string[]; options: unknown[] };
        };
        if (flags.length === 0) expect(words).toEqual(planned.qemu.argv);
        else expect(words).toHaveLength(planned.qemu.argv.length);
        if (!/\n/.test(serial + file + word))
          expect(out.trimEnd().split('\n')).toHaveLength(planned.qemu.options.length + 1);
      }),
      { numRuns: 25 },
    );
  });

  it('may be cut off by whoever reads it', () => {
    const ezvm = `${process.execPath} ${join(program.dist, 'start.cjs')}`;
    for (const verb of ['args', 'plan', 'explain']) {
      const { stdout, stderr, status } = spawnSync(
        'bash',
        ['-c', `set -o pipefail; ${ezvm} ${verb} vm.yaml --host ${LAPTOP_HOST} 2>&1 | head -c 1`],
        { cwd: program.dir, env: program.env, encoding: 'utf8' },
      );
      expect([status, stderr, stdout.length]).toEqual([0, '', 1]);
    }
  });

  it('keeps its exit code when nobody listens to its talk', () => {
    const ezvm = `${process.execPath} ${join(program.dist, 'start.cjs')}`;
    const { status } = spawnSync('bash', ['-c', `${ezvm} check bad.yaml 2> >(exec 0<&-)`], {
      cwd: program.dir,
      env: program.env,
    });
    expect(status).toBe(1);
  });

  it.skipIf(!existsSync('/dev/full'))('says so when the disk is full', () => {
    const ezvm = `${process.execPath} ${join(program.dist, 'start.cjs')}`;
    const { status, stderr } = spawnSync('sh', ['-c', `${ezvm} args vm.yaml --host ${LAPTOP_HOST} > /dev/full`], {
      cwd: program.dir,
      env: program.env,
      encoding: 'utf8',
    });
    expect(status).toBe(3);
    expect(stderr).toMatch(/^error: what was asked for cannot be written: .*no space left/m);
  });

  it('needs none of the hardware', () => {
    for (const name of readdirSync(join(CHECKOUT, 'etc')).filter((each) => each.endsWith('.yaml'))) {
      const { exit, out, err } = program.run(['args', join(CHECKOUT, 'etc', name), '--host', BARE_HOST]);
      expect(exit, err).toBe(0);
      expect(out).toContain('-machine');
    }
  });
});

describe('--set', () => {
  const serial = (...sets: string[]) => {
    const { exit, out, err } = program.run(['show', 'vm.yaml', '--json', ...sets.flatMap((set) => ['--set', set])]);
    expect(exit, err).toBe(0);
    return JSON.parse(out) as Record<string, Record<string, unknown>>;
  };

  it.each([
    ['cpu=3', 'cpu', 'cores', 3],
    ['cpu.cores=3', 'cpu', 'cores', 3],
    ['cpu={ cores: 3 }', 'cpu', 'cores', 3],
    ['cpu.flags=[+aes, -svm]', 'cpu', 'flags', ['+aes', '-svm']],
    ['memory=3G', 'memory', 'size', '3G'],
    ['boot.menu=on', 'boot', 'menu', true],
    ['smbios.serial=123', 'smbios', 'serial', '123'],
    ['smbios.serial=1.10', 'smbios', 'serial', '1.10'],
    ['smbios.serial=true', 'smbios', 'serial', 'true'],
    ['smbios.serial=a #b', 'smbios', 'serial', 'a #b'],
    ['smbios.serial= a ', 'smbios', 'serial', ' a '],
    ['smbios.serial=a: b', 'smbios', 'serial', 'a: b'],
    ['smbios.serial=a=b,c', 'smbios', 'serial', 'a=b,c'],
    ['smbios.serial=a\nb', 'smbios', 'serial', 'a\nb'],
    ['smbios.serial=a\nb: c', 'smbios', 'serial', 'a\nb: c'],
    ['smbios.serial=*x', 'smbios', 'serial', '*x'],
    ['smbios.serial=&x', 'smbios', 'serial', '&x'],
    ['smbios.serial=!x', 'smbios', 'serial', '!x'],
    ['smbios.serial=| x', 'smbios', 'serial', '| x'],
    ['smbios.serial=@x', 'smbios', 'serial', '@x'],
    ['smbios.serial=[x', 'smbios', 'serial', '[x'],
    ['smbios.serial="a\\tb"', 'smbios', 'serial', 'a\tb'],
    ["smbios.serial='it''s'", 'smbios', 'serial', "it's"],
    ["smbios.serial='tis", 'smbios', 'serial', "'tis"],
    ['smbios.serial=', 'smbios', 'serial', undefined],
  ])('takes %j', (set, section, key, value) => {
    expect(serial(set)[section]?.[key]).toEqual(value);
  });

  it('changes one item, or takes it away', () => {
    expect(serial('disks.disk0.bus=scsi')['disks']).toMatchObject({
      disk0: { bus: 'scsi', file: join(program.dir, 'a.raw') },
    });
    expect(serial('disks.disk0=null')['disks']).toBe('none');
  });

  it('lets the later win', () => {
    expect(serial('cpu=3', 'cpu=4')['cpu']?.['cores']).toBe(4);
  });

  it.each([
    ['cpu=x', '--set cpu:1:1  cpu.cores is "x"'],
    ['cpus=4', '--set cpus:1:1  there is no section "cpus"'],
    ['disks.0.bus=scsi', '--set disks.0.bus:1:1  disks: the id "0" must be a letter'],
    ['smbios.serial="a\\0"', '--set:1:8  the value holds a NUL'],
    ['template=windws', '--set template:1:1  there is no template "windws"'],
  ])('with a fault in %j is told so', (set, message) => {
    const { exit, err } = program.run(['check', 'vm.yaml', '--set', set]);
    expect(exit).toBe(1);
    expect(err).toContain(message);
  });

  it('takes every text to the letter', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        fc.pre(text !== '' && !/^\s*["'[{~]|^\s*null\s*$|\$\{/i.test(text) && !/^\s*(#|$)/.test(text));
        expect(serial(`smbios.serial=${text}`)['smbios']?.['serial']).toBe(text);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the terminal', () => {
  it('gets no colour through a pipe, and nothing that a file wants it to do', () => {
    program.write(
      'evil.yaml',
      'template: linux\ndescription: "\\e]0;owned\\a\\e[31m\\u202e"\n"\\e[2J": 1\nmemory: "\\e[31m\\x9b1m"\ntemplate2: x\n',
    );
    for (const argv of [
      ['check', 'evil.yaml'],
      ['args', 'evil.yaml'],
      ['check', 'vm.yaml', '--set', 'memory=\u001b[31m'],
      ['\u001b[31m'],
      ['check', './\u001b[31m.yaml'],
      ['check', 'vm.yaml', '--\u001b[31m'],
      ['args', 'vm.yaml', '--host', '\u001b[31m'],
    ]) {
      const { exit, err, out } = program.run(argv);
      expect(exit).not.toBe(0);
      expect(`${err}${out}`.replace(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    }
  });

  it('gets what a sound file says in a form that does nothing', () => {
    program.write(
      'evil.yaml',
      'template: linux\ndescription: "\\e]0;owned\\a\\e[31m\\u202e"\nsmbios: { serial: "\\e[31m\\x9b" }\n',
    );
    for (const argv of [
      ['show', 'evil.yaml'],
      ['explain', 'evil.yaml', '--host', LAPTOP_HOST],
      ['plan', 'evil.yaml', '--host', LAPTOP_HOST],
      ['list'],
    ]) {
      const { exit, err, out } = program.run(argv);
      expect(exit, err).toBe(0);
      expect(out.replace(/[\n\t]/g, ''), argv[0]).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    }
  });

  it.skipIf(!existsSync(SCRIPT))('is told in colour unless it asks not to be', () => {
    const ezvm = `${process.execPath} ${join(program.dist, 'start.cjs')} check bad.yaml`;
    const onTerminal = (env: Record<string, string>) =>
      spawnSync(SCRIPT, ['-qec', ezvm, '/dev/null'], {
        cwd: program.dir,
        env: { ...program.env, TERM: 'xterm', ...env },
        encoding: 'utf8',
      }).stdout;
    expect(onTerminal({})).toContain('\u001b[1m');
    expect(onTerminal({})).toContain('bad.yaml:2:6');
    expect(onTerminal({ NO_COLOR: '1' })).not.toContain('\u001b');
    expect(onTerminal({ TERM: 'dumb' })).not.toContain('\u001b');
  });
});

describe('show', () => {
  it('prints a VM file that means the same without its template', () => {
    const text = [
      'uuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7',
      'name: nasty',
      'description: "a: b # c $${x} \\e[31m \\n é"',
      'profiles: [office]',
      'smbios: { serial: "a,b=c $${vm.name} \\t" }',
      'disks: [{ file: "a b,c.raw", bus: scsi }, { type: cdrom, slot: 3 }]',
      'network: { lan: { type: user, slot: 2, forward: ["2222:22", "udp/0.0.0.0:53:53"] } }',
      'qemu: { set: { "device:gpu": { x: "1.10", y: null } }, args: ["-fw_cfg", "$${x}"] }',
      '',
    ].join('\n');
    for (const template of ['linux', 'windows-11', 'macos', 'other']) {
      program.write('first.yaml', `template: ${template}\n${text}`);
      const shown = program.run(['show', 'first.yaml']);
      expect(shown.exit, shown.err).toBe(0);
      program.write('second.yaml', shown.out);
      const args = (file: string) => program.run(['args', file, '--json', '--host', LAPTOP_HOST]);
      expect(args('second.yaml').out, args('second.yaml').err).toBe(args('first.yaml').out);
    }
  });
});

describe('reference', () => {
  it('tells what a section may say, and each of its types', () => {
    const { exit, out } = program.run(['reference', 'watchdog']);
    expect(exit).toBe(0);
    expect(out).toMatch(/^## watchdog\n/);
    expect(out).toContain('### watchdog: ib700');
    expect(out).toMatch(/^- `action`: .*`poweroff`.*default `reset`.* Example: `action: /m);
  });

  it('knows the types of the user, too', () => {
    program.write('config/ezvm/templates/devices/gpu/mine.yaml', 'summary: A card of mine\nemit: [{ device: VGA }]\n');
    const { out } = program.run(['reference', 'gpu'], { env: { XDG_CONFIG_HOME: join(program.dir, 'config') } });
    expect(out.includes('### gpu: mine\n\nA card of mine')).toBe(process.getuid?.() !== 0);
  });

  it('names the section that was meant', () => {
    const { exit, err } = program.run(['reference', 'disk']);
    expect(exit).toBe(2);
    expect(err).toContain('there is no section disk');
    expect(err).toContain('did you mean disks?');
  });
});

describe('plans for another host', () => {
  const recordings = existsSync(RECORDINGS) ? readdirSync(RECORDINGS).filter((name) => name.endsWith('.replies')) : [];

  it.skipIf(recordings.length === 0).each(recordings.length === 0 ? ['(left out: no recordings)'] : recordings)(
    'are made from the recorded session %s',
    (name) => {
      const { exit, out, err } = program.run(['facts', '--replies', join(RECORDINGS, name)]);
      expect(exit, err).toBe(0);
      const version = /_(\d+)\.(\d+)\.(\d+)_/.exec(name)?.slice(1).map(Number) ?? [];
      expect(JSON.parse(out)).toMatchObject({
        format: 1,
        qemu: { version: { major: version[0], minor: version[1], micro: version[2] } },
      });
      program.write('facts.json', out);
      const args = program.run(['args', 'vm.yaml', '--host', 'facts.json']);
      expect(args.exit, args.err).toBe(0);
      expect(args.out).toContain('-blockdev');
    },
  );

  it('leave the file of facts unread by verbs that plan nothing', () => {
    expect(program.run(['version', '--host', 'x']).exit).toBe(2);
  });
});

describe('check --untrusted', () => {
  it('lists what an own VM of that name has left, which the file’s would take over', () => {
    const file = program.write('given/given.yaml', 'template: other\nname: mine\n');
    const told = (): string => program.run(['check', '--untrusted', file]).out;
    expect(told()).not.toContain('state');
    const left = program.write(join(program.env['XDG_STATE_HOME'] ?? '', 'ezvm', 'mine', 'efivars.fd'), '');
    expect(told()).toMatch(new RegExp(`^state +what a VM called mine has left in ${dirname(left)}: efivars.fd$`, 'm'));
  });
});

describe('an account that is out of order', () => {
  it.each([
    ['no home', { HOME: '' }],
    ['a cache that cannot be', { XDG_CACHE_HOME: '/dev/null/x' }],
    ['settings that cannot be', { XDG_CONFIG_HOME: '/dev/null/x' }],
    ['relative directories', { XDG_CACHE_HOME: 'x', XDG_CONFIG_HOME: 'y', XDG_RUNTIME_DIR: 'z' }],
  ])('with %s still gets its command line', (_, env) => {
    const { exit, err, out } = program.run(['args', 'vm.yaml', '--host', LAPTOP_HOST], { env });
    expect(exit, err).toBe(0);
    expect(out).toContain('-machine');
  });

  it('in a directory that is gone is told so', () => {
    const gone = join(program.dir, 'gone');
    program.write('gone/x', '');
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `rm -r "${gone}"; exec ${process.execPath} ${join(program.dist, 'start.cjs')} list`],
      { cwd: gone, env: program.env, encoding: 'utf8' },
    );
    rmSync(gone, { recursive: true, force: true });
    expect(status).toBe(3);
    expect(stderr).toMatch(/^error: the working directory does not exist any more$/m);
  });
});

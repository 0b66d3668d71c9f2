import { describe, expect, it } from 'vitest';
import { CATALOG } from '../one-device.ts';
import { type Made, makeVm } from './layered.ts';

function filesOf({ layers }: Made): string[] {
  return layers.map(({ doc }) => doc.file);
}

describe('layers', () => {
  /** Each says the same key; the strongest that says it wins. */
  const ALL = {
    templates: {
      'defaults.yaml': 'machine: q35\ncpu: 1\n',
      'os/base.yaml': 'cpu: 4\n',
      'os/mine.yaml': 'base: base\ncpu: 5\n',
      'profiles/first.yaml': 'cpu: 6\n',
      'profiles/second.yaml': 'cpu: 7\n',
    },
    settings: ['cpu: 2\n', 'cpu: 3\n'],
    vm: 'template: mine\nprofiles: [first, second]\ncpu: 8\n',
    sets: ['cpu=9', 'cpu=10'],
  };

  it('are laid in the order of their strength', () => {
    expect(filesOf(makeVm(ALL))).toEqual([
      '/own/defaults.yaml',
      'settings0.yaml',
      'settings1.yaml',
      '/own/os/base.yaml',
      '/own/os/mine.yaml',
      '/own/profiles/first.yaml',
      '/own/profiles/second.yaml',
      'vm.yaml',
      '--set cpu',
      '--set cpu',
    ]);
  });

  it.each([
    ['the last --set', {}, 10, ''],
    ['the first --set', { sets: ['cpu=9'] }, 9, ''],
    ['the VM file', { sets: [] }, 8, ''],
    ['the last profile', { sets: [] }, 7, 'vm'],
    ['the first profile', { sets: [] }, 6, 'profiles/second.yaml'],
    ['the template', { sets: [] }, 5, 'profiles/first.yaml'],
    ['its base', { sets: [] }, 4, 'os/mine.yaml'],
    ['user settings', { sets: [] }, 3, 'os/base.yaml'],
    ['host settings', { sets: [], settings: ['cpu: 2\n', ''] }, 2, 'settings'],
    ['built-in defaults', { sets: [], settings: [] }, 1, 'none'],
  ])('win in this order: %s', (_, change, cores, upTo) => {
    const order = ['vm', 'profiles/second.yaml', 'profiles/first.yaml', 'os/mine.yaml', 'os/base.yaml'];
    const silent = upTo === '' ? [] : order.includes(upTo) ? order.slice(0, order.indexOf(upTo) + 1) : order;
    const templates = Object.fromEntries(
      Object.entries(ALL.templates).map(([path, text]) => [
        path,
        silent.includes(path) ? text.replace(/^cpu.*\n/m, '') : text,
      ]),
    );
    const vm = silent.includes('vm') ? ALL.vm.replace(/^cpu.*\n/m, '') : ALL.vm;
    const made = makeVm({ ...ALL, templates, vm, ...change });
    expect(made.faults).toEqual([]);
    expect(made.value('cpu.cores')).toBe(cores);
  });

  it('remember what they override, strongest first', () => {
    const { param } = makeVm(ALL);
    expect(param('cpu.cores')?.origin?.file).toBe('--set cpu');
    expect(param('cpu.cores')?.overrides.map(({ file }) => file)).toEqual([
      '--set cpu',
      'vm.yaml',
      '/own/profiles/second.yaml',
      '/own/profiles/first.yaml',
      '/own/os/mine.yaml',
      '/own/os/base.yaml',
      'settings1.yaml',
      'settings0.yaml',
      '/own/defaults.yaml',
    ]);
  });

  it('may choose the template and the profiles from outside', () => {
    const templates = { 'os/mine.yaml': 'cpu: 5\n', 'profiles/first.yaml': 'memory: 3G\n' };
    const made = makeVm({ templates, settings: ['template: mine\n'], sets: ['profiles=first'] });
    expect(made.faults).toEqual([]);
    expect([made.value('cpu.cores'), made.value('memory.size')]).toEqual([5, 3 * 2 ** 30]);
  });

  it('lay a base that two profiles share once, before both', () => {
    const templates = {
      'profiles/base.yaml': 'cpu: 1\n',
      'profiles/a.yaml': 'base: base\ncpu: 2\n',
      'profiles/b.yaml': 'base: base\n',
    };
    const made = makeVm({ templates, vm: 'profiles: [a, b]\n' });
    expect(filesOf(made).filter((file) => file === '/own/profiles/base.yaml')).toHaveLength(1);
    expect(made.value('cpu.cores')).toBe(2);
  });

  it('are found in no time however often bases are shared', () => {
    const templates = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [
        `profiles/p${n}.yaml`,
        n === 0 ? 'cpu: 3\n' : `base: [p${n - 1}, p${Math.max(0, n - 2)}]\n`,
      ]),
    );
    expect(makeVm({ templates, vm: 'profiles: [p59]\n' }).value('cpu.cores')).toBe(3);
  });

  it.each([
    ['itself', { 'os/a.yaml': 'base: a\n' }, 'a → a'],
    ['each other', { 'os/a.yaml': 'base: b\n', 'os/b.yaml': 'base: a\n' }, 'a → b → a'],
    [
      'a loop further down',
      { 'os/a.yaml': 'base: b\n', 'os/b.yaml': 'base: c\n', 'os/c.yaml': 'base: b\n' },
      'b → c → b',
    ],
  ])('tell of templates that are based on %s', (_, templates, loop) => {
    const { diagnostics } = makeVm({ templates, vm: 'template: a\n' });
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]?.message).toBe(`templates are based on one another: ${loop}`);
    expect(diagnostics[0]?.origin?.file).toMatch(/^\/own\/os\/.\.yaml$/);
    expect(diagnostics[0]?.help).toMatch(/base:/);
  });

  it.each([
    [
      'template: windows-12\n',
      'vm.yaml:1:11 there is no template "windows-12"; os/windows-12.yaml is in none of the template folders',
      'did you mean windows-10?',
    ],
    [
      'profiles: [gamign]\n',
      'vm.yaml:1:12 there is no profile "gamign"; profiles/gamign.yaml is in none of the template folders',
      'did you mean gaming?',
    ],
    [
      'template: beos\n',
      'vm.yaml:1:11 there is no template "beos"; os/beos.yaml is in none of the template folders',
      `there are ${CATALOG.layers('os').join(', ')}`,
    ],
    ['template: ../linux\n', 'vm.yaml:1:11 there is no template "../linux"', undefined],
    ['template: ""\n', 'vm.yaml:1:11 there is no template ""', undefined],
    ['profiles: { a: b }\n', 'vm.yaml:1:11 profiles is a map; a name is wanted', undefined],
  ])('tell of what is not there: %s', (vm, fault, help) => {
    const { faults, diagnostics } = makeVm({ vm });
    expect(faults).toContain(fault);
    if (help !== undefined) expect(diagnostics.find(({ message }) => fault.endsWith(message))?.help).toBe(help);
  });

  it('take a map as one item where it says what an item says, and as items where their ids stand in it', () => {
    const ids = (vm: string): string[] =>
      makeVm({ vm }).spec.devices.flatMap((d) => (d.section === 'disks' ? [d.id] : []));
    expect(ids('disks: { file: a, bus: scsi }\n')).toEqual(['disk0']);
    expect(ids('disks: { file: a, disk1: b }\n')).toEqual(['disk1', 'file']);
  });

  it('take the plainest template where none is chosen', () => {
    expect(filesOf(makeVm({}))).toEqual(['templates/defaults.yaml', 'templates/os/other.yaml', 'vm.yaml']);
  });
});

describe('merging', () => {
  const BASE = {
    'os/mine.yaml': [
      'firmware: { secure-boot: on, enrolled-keys: on }',
      'display: { type: gtk, gl: true, full-screen: true }',
      'cpu: { cores: 4, flags: [+aes, +avx] }',
      'network: [{ type: user, hostname: a, restrict: on }, { type: user }]',
      'usb: { tablet: { type: tablet, slot: 14 } }',
      'defaults: { disks: { bus: scsi } }',
      'tpm: swtpm',
      '',
    ].join('\n'),
  };
  const of = (vm: string) => makeVm({ templates: BASE, vm: `template: mine\n${vm}` });

  it('keeps what a stronger layer does not name', () => {
    const made = of('cpu: { threads: 2 }\nnetwork: { net0: { hostname: b } }\n');
    expect(made.faults).toEqual([]);
    expect([made.value('cpu.cores'), made.value('cpu.threads')]).toEqual([4, 2]);
    expect([made.value('network.net0.hostname'), made.value('network.net0.restrict')]).toEqual(['b', true]);
  });

  it('lets false and zero win', () => {
    const made = of(
      'firmware: { secure-boot: off, enrolled-keys: false }\ndisks: [{ file: a, boot: 0 }]\nboot: { strict: no }\n',
    );
    expect(made.faults).toEqual([]);
    expect([made.value('firmware.secure-boot'), made.value('firmware.enrolled-keys')]).toEqual([false, false]);
    expect(made.value('disks.disk0.boot')).toBe(0);
    expect(made.value('boot.strict')).toBe(false);
  });

  it('lets null delete a value, a device and a section', () => {
    const made = of('cpu: { cores: null, flags: ~ }\nnetwork: { net1: null }\ntpm:\nusb: null\n');
    expect(made.faults).toEqual([]);
    expect([made.value('cpu.cores'), made.value('cpu.flags')]).toEqual([2, []]);
    expect(made.spec.devices.map(({ id }) => id)).not.toEqual(expect.arrayContaining(['net1']));
    expect(made.spec.devices.map(({ id }) => id)).toContain('net0');
    for (const section of ['tpm', 'usb'])
      expect(made.spec.devices.map((device) => device.section)).not.toContain(section);
  });

  it.each(['off', 'false', 'none', 'null', 'no', '{ type: none }'])('takes %s for no device', (word) => {
    const made = of(`tpm: ${word}\n`);
    expect(made.faults).toEqual([]);
    expect(made.spec.devices.map(({ section }) => section)).not.toContain('tpm');
  });

  it('replaces lists whole', () => {
    expect(of('cpu: { flags: [-svm] }\n').value('cpu.flags')).toEqual(['-svm']);
  });

  it('drops the keys of another type, and keeps those that both have', () => {
    const made = of('display: { type: spice }\n');
    expect(made.faults).toEqual([]);
    expect(made.value('display.full-screen')).toBe(true);
    expect(made.param('display.gl')).toBeUndefined();
  });

  it('refuses the keys of another type that the same layer writes', () => {
    expect(of('display: { type: spice, gl: on }\n').faults).toEqual(['vm.yaml:2:25 display (spice) has no key "gl"']);
  });

  it('lets a later null stand between a weaker and a stronger layer', () => {
    const templates = { ...BASE, 'profiles/p.yaml': 'cpu: null\n' };
    const made = makeVm({ templates, vm: 'template: mine\nprofiles: p\ncpu: { threads: 2 }\n' });
    expect([made.value('cpu.cores'), made.value('cpu.threads')]).toEqual([2, 2]);
  });

  it('takes paths from where they are written', () => {
    const made = makeVm({
      templates: { 'os/mine.yaml': 'boot: { kernel: k }\n' },
      settings: ['boot: { initrd: i }\n'],
      vm: 'template: mine\ndisks: [d.raw]\n',
      sets: ['firmware.vars=v', 'firmware.type=uefi'],
    });
    expect(made.value('boot.kernel')).toBe('/own/os/k');
    expect(made.value('boot.initrd')).toBe('/settings0/i');
    expect(made.value('disks.disk0.file')).toBe('/vm/d.raw');
    expect(made.value('firmware.vars')).toBe('/cwd/v');
  });

  it('gives every disk what is said for all, under what each says itself', () => {
    const made = of('disks: [a.raw, { file: b.raw, bus: nvme }]\n');
    expect([made.value('disks.disk0.bus'), made.value('disks.disk1.bus')]).toEqual(['scsi', 'nvme']);
    expect(made.param('disks.disk0.bus')?.origin?.file).toBe('/own/os/mine.yaml');
  });
});

describe('a section that holds several devices', () => {
  it.each([
    ['a word', 'disks: a.raw\n'],
    ['a list of words', 'disks: [a.raw]\n'],
    ['a list of maps', 'disks:\n  - file: a.raw\n'],
    ['a map', 'disks: { disk0: { file: a.raw } }\n'],
    ['a map of words', 'disks: { disk0: a.raw }\n'],
    ['one map without its dash', 'disks: { file: a.raw }\n'],
  ])('may be written as %s', (_, vm) => {
    const made = makeVm({ vm });
    expect(made.faults).toEqual([]);
    expect(made.spec.devices.filter(({ section }) => section === 'disks').map(({ id, index }) => [id, index])).toEqual([
      ['disk0', 0],
    ]);
    expect(made.value('disks.disk0.file')).toBe('/vm/a.raw');
  });

  it('counts to ten as people do', () => {
    const disks = Array.from({ length: 12 }, (_, n) => `d${n}`).join(', ');
    const ids = makeVm({ vm: `disks: [${disks}]\n` }).spec.devices.filter(({ section }) => section === 'disks');
    expect(ids.map(({ id }) => id)).toEqual(Array.from({ length: 12 }, (_, n) => `disk${n}`));
  });

  it.each([
    ['disks: { "a,b": x }\n', 'vm.yaml:1:17 disks: the id "a,b" must be a letter followed by letters, digits, _ or -'],
    ['disks: { 0: x }\n', 'vm.yaml:1:13 disks: the id "0" must be a letter followed by letters, digits, _ or -'],
    ['disks: [[a]]\n', 'vm.yaml:1:9 disks[0].file is a list; a path is wanted'],
    ['disks: [{ bus: scsi }]\n', 'vm.yaml:1:9 disks[0] (disk) needs file'],
    ['disks: [{ file: a, slot: -1 }]\n', 'vm.yaml:1:26 disks[0].slot is -1; a whole number, at least 0, is wanted'],
    [
      'disks: [{ type: { a: b } }]\n',
      'vm.yaml:1:17 disks[0].type is a map; one of cdrom, disk, floppy, iscsi, lvm, nbd, nbd-tcp or vvfat is wanted',
    ],
    [
      'disks: [{ type: tape, file: a }]\n',
      'vm.yaml:1:17 disks[0].type is "tape"; use cdrom, disk, floppy, iscsi, lvm, nbd, nbd-tcp or vvfat',
    ],
  ])('is refused as %s', (vm, fault) => {
    expect(makeVm({ vm }).faults).toEqual([fault]);
  });
});

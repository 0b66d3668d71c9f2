import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';
import { formatOrigin } from '../../src/core/origin.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import { judgeRequirements } from '../../src/plan/judge.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, specOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const BARE = hostFacts('bare');

interface Assembled {
  readonly plan: Plan;
  readonly diagnostics: readonly Diagnostic[];
}

function make(vm: string, facts: HostFacts = LAPTOP): Assembled {
  const { spec, diagnostics } = specOf(vm, CATALOG);
  expect(diagnostics).toEqual([]);
  return assemble(spec, CATALOG, facts);
}

function faults(vm: string, facts?: HostFacts): string[] {
  return make(vm, facts).diagnostics.map(({ origin, message }) => `${origin ? formatOrigin(origin) : '-'} ${message}`);
}

/** The properties of the first option of a name, or of that with an id. */
function option({ plan }: Assembled, name: string, id?: string): QemuProps {
  const found = plan.qemu.options.find(
    ({ name: each, args }) =>
      each === name && typeof args === 'object' && (id === undefined || args['id'] === id || args['node-name'] === id),
  );
  return typeof found?.args === 'object' ? found.args : {};
}

function notes({ plan }: Assembled): string[] {
  return plan.notes.map(({ code }) => code);
}

describe('places', () => {
  it.each([
    ['disks: { a: x.raw }\n', 'vm.yaml:1:13 a: the id a does not say which place it takes'],
    ['disks: { disk0: x, a: { file: y, slot: 0 } }\n', 'vm.yaml:1:23 a: it asks for the place that disk0 has'],
    [
      'disks: { disk16: { file: x, bus: virtio } }\n',
      'vm.yaml:1:18 disk16: there are 16 places of the kind disk, and this asks for number 16',
    ],
    [
      'disks: [{ file: x, bus: sata, slot: 6 }]\n',
      'vm.yaml:1:9 disk0: there are 6 places of the kind sata, and this asks for number 6',
    ],
    [
      'disks: [{ file: x, bus: nvme }, { file: y, bus: virtio, slot: 0 }]\n',
      'vm.yaml:1:33 disk1: it asks for the place that disk0 has',
    ],
    [
      'usb: [{ type: tablet, slot: 3 }, { type: mouse, slot: 3 }]\n',
      'vm.yaml:1:34 usb1: it asks for the place that usb0 has',
    ],
  ])('are refused for %j', (vm, fault) => {
    expect(faults(`template: linux\nusb: off\n${vm}`.replace('usb: off\nusb', 'usb'))).toEqual([
      fault.replace('vm.yaml:1', `vm.yaml:${vm.startsWith('usb') ? 2 : 3}`),
    ]);
  });

  it('tell how to mend that', () => {
    for (const { help } of make('disks: { a: x.raw }\n').diagnostics) expect(help).toMatch(/slot/);
  });

  it('of one kind do not depend on the other devices', () => {
    const few = make('network: { net2: { type: user } }\n');
    const many = make(
      'network: [{ type: user }, { type: user }, { type: user }]\ndisks: [a, b]\npci: ["0000:05:00.0"]\n',
    );
    expect(option(few, 'device', 'net2-device')).toEqual(option(many, 'device', 'net2-device'));
    expect(option(few, 'device', 'rp-10.2')).toEqual(option(many, 'device', 'rp-10.2'));
  });

  it('behind a root port bring function 0 of that slot along', () => {
    const made = make('network: { net2: { type: user } }\n');
    expect(option(made, 'device', 'rp-10.0')).toMatchObject({ addr: '10.0', multifunction: true });
  });

  it('of two drives that only read may hold one image', () => {
    const drive = '{ type: cdrom, file: a.iso }';
    expect(faults(`disks: [${drive}, ${drive}]\n`)).toEqual([]);
  });

  it('do not change with the number of digits of an id', () => {
    expect(faults('disks: { disk00: x, disk0: y }\n')).toHaveLength(1);
  });
});

describe('options that exist once', () => {
  it('are joined', () => {
    const machine = make('template: linux\nmachine: { hpet: off }\n').plan.qemu.options.filter(
      ({ name }) => name === 'machine',
    );
    expect(machine).toHaveLength(1);
    expect(machine[0]?.args).toMatchObject({ type: 'q35', pflash0: 'pflash0', hpet: false });
  });

  it.each([
    [
      'disks: [{ file: a, boot: 1 }, { file: b, boot: 1 }]\n',
      'vm.yaml:1:31 two devices want to be number 1 in the boot order',
    ],
    [
      'disks: [{ file: a, boot: 1 }]\nnetwork: [{ type: user, boot: 1 }]\n',
      'vm.yaml:2:11 two devices want to be number 1 in the boot order',
    ],
    [
      'boot: { kernel: k }\ndisks: [{ file: a, boot: 0 }]\n',
      'vm.yaml:2:9 two devices want to be number 0 in the boot order',
    ],
    [
      'disks: { net0: { file: a, slot: 0 } }\nnetwork: { net0: { type: user } }\n',
      'vm.yaml:2:18 two devices are called net0-device',
    ],
    ['disks: [a, a]\n', 'vm.yaml:1:12 disk1 and disk0 are both "/vm/a", which only one can write'],
    [
      'disks: [a, { type: cdrom, file: a }]\n',
      'vm.yaml:1:12 disk1 and disk0 are both "/vm/a", which only one can write',
    ],
    [
      'fw-cfg: [{ name: opt/a, string: x }, { name: opt/a, string: y }]\n',
      'vm.yaml:1:38 two items of fw-cfg have the name opt/a',
    ],
    ['boot: { append: quiet }\n', 'vm.yaml:1:7 boot.append is of no use without boot.kernel'],
    ['qemu: { set: { "device:nope": { a: 1 } } }\n', 'vm.yaml:1:31 qemu.set: no option "device:nope" is emitted'],
    ['qemu: { args: [a] }\n', 'vm.yaml:1:16 qemu.args: "a" follows no option'],
    ['qemu: { args: [-a, b, c] }\n', 'vm.yaml:1:23 qemu.args: "c" follows no option'],
    ['cpu: { flags: ["+aes,-svm"] }\n', 'vm.yaml:1:6 -cpu cannot be given "aes,-svm"'],
    ['cpu: { flags: ["vendor=a,b"] }\n', 'vm.yaml:1:6 -cpu cannot be given "vendor=a,b"'],
    ['cpu: { flags: [""] }\n', 'vm.yaml:1:6 -cpu cannot be given ""'],
    ['qemu: { set: { cpu: { vendor: "a,b" } } }\n', 'vm.yaml:1:21 -cpu cannot be given "vendor=a,b"'],
  ])('are refused in %j', (vm, fault) => {
    expect(faults(vm)).toEqual([fault]);
  });

  it('boot disks in their order, after a kernel, unless somebody says otherwise', () => {
    const made = make('disks: [a, b]\n');
    expect(['disk0-device', 'disk1-device'].map((id) => option(made, 'device', id)['bootindex'])).toEqual([1, 2]);
    const said = make('disks: [a, { file: b, boot: 5 }]\n');
    expect(['disk0-device', 'disk1-device'].map((id) => option(said, 'device', id)['bootindex'])).toEqual([
      undefined,
      5,
    ]);
    expect(faults('boot: { kernel: k }\ndisks: [a, b]\n')).toEqual([]);
  });
});

describe('two paths to one image', () => {
  const there = { kind: 'file', readable: true, writable: true, size: 1048576, format: 'raw' } as const;
  const paths = {
    '/vm/a.raw': { ...there, identity: 'file 1 2' },
    '/vm/link.raw': { ...there, identity: 'file 1 2' },
    '/vm/other.raw': { ...there, identity: 'file 1 3' },
    '/vm/top.qcow2': { kind: 'missing', readable: false, writable: false },
  } as const;
  const facts: HostFacts = { ...LAPTOP, paths };

  it('are told, where one of the disks is written', () => {
    expect(faults('disks: [a.raw, link.raw]\n', facts)).toEqual([
      'vm.yaml:1:16 disk1 and disk0 are both "/vm/link.raw", as disk0 calls it "/vm/a.raw", which only one can write',
    ]);
    expect(faults('disks: [a.raw, { file: top.qcow2, backing: link.raw }]\n', facts)).toEqual([
      'vm.yaml:1:44 disk1 is laid over /vm/link.raw, which disk0 writes',
    ]);
  });

  it('do no harm where nobody writes, and other images are others', () => {
    expect(
      faults('disks: [{ file: a.raw, bus: usb, read-only: on }, { file: link.raw, bus: usb, read-only: on }]\n', facts),
    ).toEqual([]);
    expect(faults('disks: [a.raw, other.raw]\n', facts)).toEqual([]);
  });
});

describe('a disk of which nothing is kept', () => {
  it('is read only, below an image that is made for each run', () => {
    const { plan } = make('disks: [{ file: a.qcow2, snapshot: on }]\n');
    const layer = `${plan.vm.stateDir}/disk0-snapshot.qcow2`;
    expect(plan.steps).toContainEqual(
      expect.objectContaining({
        do: 'create-image',
        path: layer,
        forOneRun: true,
        backing: { path: '/vm/a.qcow2', format: 'qcow2' },
      }),
    );
    expect(option({ plan, diagnostics: [] }, 'blockdev', 'disk0')).toMatchObject({
      driver: 'qcow2',
      backing: { driver: 'qcow2', 'read-only': true, file: { filename: '/vm/a.qcow2' } },
      file: { driver: 'file', filename: layer },
    });
    const wanted = plan.requirements.filter((one) => one.kind === 'path' && one.path === '/vm/a.qcow2');
    expect(wanted).toEqual([expect.objectContaining({ access: 'read' })]);
  });

  it('may be shared with others like it, and with none that writes', () => {
    expect(faults('disks: [{ file: a.raw, snapshot: on }, { file: a.raw, snapshot: on }]\n')).toEqual([]);
    expect(faults('disks: [a.raw, { file: a.raw, snapshot: on }]\n')).toEqual([
      'vm.yaml:1:24 disk1 is laid over /vm/a.raw, which disk0 writes',
    ]);
  });

  it('is no matter of an argument that knows no disks of ours', () => {
    expect(faults('qemu: { args: [-snapshot] }\n')).toEqual([
      'vm.yaml:1:16 qemu.args: -snapshot changes nothing for disks that QEMU is given by -blockdev, as all of ezvm are',
    ]);
  });
});

describe('patches', () => {
  it('are read by QEMU itself, and devices alike, which it makes in the order of their syntax', () => {
    const { plan } = make(
      'disks: [a.raw]\nqemu: { set: { "blockdev:disk0": { file: { locking: off } }, "device:disk0-device": { write-cache: off } } }\n',
    );
    expect(plan.qemu.argv.filter((word) => /locking=off|write-cache=off/.test(word))).toHaveLength(2);
    const devices = plan.qemu.argv.filter((_, index, words) => words[index - 1] === '-device');
    expect(devices.filter((word) => word.startsWith('{'))).toEqual([]);
  });

  const PATCHED = (patch: string) => make(`disks: [a.raw]\nqemu: { set: { ${patch} } }\n`);

  it('set, replace and remove properties, and reach into maps', () => {
    const disk = option(
      PATCHED('"blockdev:disk0": { read-only: on, discard: null, file: { aio: native, cache: { direct: null } } }'),
      'blockdev',
      'disk0',
    );
    expect(disk).toMatchObject({
      driver: 'raw',
      'read-only': true,
      file: { driver: 'file', filename: '/vm/a.raw', aio: 'native', cache: { 'no-flush': false } },
    });
    expect(disk).not.toHaveProperty('discard');
    expect(disk).not.toHaveProperty('file.cache.direct');
  });

  it('are where a changed option comes from', () => {
    const { plan } = PATCHED('machine: { x: 1 }');
    const machine = plan.qemu.options.find(({ name }) => name === 'machine');
    expect(machine?.origin).toEqual({ file: 'vm.yaml', line: 2, column: 25 });
  });

  it('reach nothing of the prototype', () => {
    expect(option(PATCHED('machine: { constructor: { a: 1 } }'), 'machine')).toHaveProperty('constructor', { a: 1 });
  });

  it('leave added words as they are', () => {
    const words = ['-append', '--debug', '--fw_cfg', 'name=x,,y', '-x', ''];
    const { plan } = make(`qemu: { args: ${JSON.stringify(words)} }\n`);
    expect(plan.qemu.argv.slice(-words.length)).toEqual(words);
  });
});

describe('what devices require', () => {
  it('is there once, and before them', () => {
    const { plan } = make('disks: [{ file: a, bus: scsi }, { file: b, bus: scsi }]\n');
    const drivers = plan.qemu.options.map(({ args }) => (typeof args === 'object' ? args['driver'] : undefined));
    expect(drivers.filter((driver) => driver === 'virtio-scsi-pci')).toHaveLength(1);
    expect(drivers.indexOf('virtio-scsi-pci')).toBeLessThan(drivers.indexOf('scsi-hd'));
  });

  it('is not there for others', () => {
    expect(make('disks: [{ file: a, bus: virtio }]\n').plan.qemu.argv.join()).not.toContain('virtio-scsi-pci');
  });

  it('is satisfied by a device of another type in a section of one', () => {
    const made = make('display: spice\nspice: { type: tcp, port: 5900 }\n');
    expect(made.plan.qemu.options.filter(({ name }) => name === 'spice')).toHaveLength(1);
    expect(option(made, 'spice')).toMatchObject({ port: 5900 });
  });
});

describe('the accelerator', () => {
  const withKvm = (usable: boolean): HostFacts => ({
    ...LAPTOP,
    kvm: usable ? { usable } : { usable, reason: 'it is locked away' },
  });

  it.each([
    ['', true, 'kvm', [], []],
    ['machine: { accel: auto }', true, 'kvm', [], []],
    ['machine: { accel: kvm }', true, 'kvm', [], []],
    ['machine: { accel: tcg }', true, 'tcg', [], []],
    ['', false, 'tcg', ['no-kvm'], []],
    ['machine: { accel: tcg }', false, 'tcg', [], []],
    ['machine: { accel: kvm }', false, 'kvm', [], ['machine.accel is kvm, but it is locked away']],
  ])('for %j where KVM works (%s) is %s', (vm, usable, accel, told, unmet) => {
    const made = make(`${vm}\n`, withKvm(usable));
    expect(option(made, 'accel')['accel']).toBe(accel);
    expect(notes(made)).toEqual(told);
    expect(
      made.plan.requirements.flatMap((each) =>
        each.kind === 'unmet' && each.code.startsWith('kvm') ? [each.message] : [],
      ),
    ).toEqual(unmet);
  });

  it('decides what the processor is and can', () => {
    const windows = 'template: windows-11\n';
    expect(option(make(windows, withKvm(true)), 'cpu')).toMatchObject({
      model: 'host',
      'hv-relaxed': true,
      'hv-spinlocks': '0x1fff',
    });
    const slow = make(windows, withKvm(false));
    expect(option(slow, 'cpu')).toEqual({ model: 'max' });
    expect(notes(slow)).toContain('hyperv-left-out');
    expect(notes(make('cpu: { model: host }\n', withKvm(false)))).toContain('cpu-host-refused');
    expect(option(make('cpu: { model: host }\n', withKvm(false)), 'cpu')['model']).toBe('max');
  });
});

describe('a disk', () => {
  const PATHS: HostFacts['paths'] = {
    '/vm/link': { kind: 'block', readable: true, writable: true },
    '/dev/shm/a.raw': { kind: 'file', readable: true, writable: true, format: 'raw' },
    '/vm/plain': { kind: 'file', readable: true, writable: true, format: 'qcow2' },
    '/vm/lies.raw': { kind: 'file', readable: true, writable: true, format: 'qcow2' },
    '/vm/lies.img': { kind: 'file', readable: true, writable: true, format: 'qcow2' },
    '/vm/guest.disk': { kind: 'file', readable: true, writable: true, format: 'vmdk' },
  };
  it.each([
    ['/dev/vm1/disk', 'raw', 'host_device', 0],
    ['/vm/link', 'raw', 'host_device', 0],
    ['/dev/shm/a.raw', 'raw', 'file', 0],
    ['a.qcow2', 'qcow2', 'file', 0],
    ['a.QCOW2', 'qcow2', 'file', 0],
    ['a.vhd', 'vpc', 'file', 0],
    ['a.img', 'raw', 'file', 0],
    ['a', 'raw', 'file', 0],
    // A guest writes what it likes to the beginning of its raw disk.
    ['plain', 'raw', 'file', 1],
    ['guest.disk', 'raw', 'file', 1],
    ['lies.raw', 'raw', 'file', 1],
    ['lies.img', 'raw', 'file', 1],
    ['a.constructor', 'raw', 'file', 0],
    ['a.__proto__', 'raw', 'file', 0],
    ['dir.qcow2/a', 'raw', 'file', 0],
  ])('%s has the format %s and is a %s', (file, format, protocol, doubts) => {
    const made = make(`disks: [${JSON.stringify(file)}]\n`, { ...LAPTOP, paths: PATHS });
    expect(option(made, 'blockdev', 'disk0')).toMatchObject({ driver: format, file: { driver: protocol } });
    expect(
      made.plan.requirements.filter((each) => each.kind === 'unmet' && each.code === 'format-unclear'),
    ).toHaveLength(doubts);
  });

  it('that is told by its contents alone is refused until its format is written', () => {
    const made = make('disks: [plain, { file: plain, format: qcow2, read-only: on }]\n', { ...LAPTOP, paths: PATHS });
    expect(
      made.plan.requirements.flatMap((each) =>
        each.kind === 'unmet' && each.code === 'format-unclear' ? [[each.message, each.help]] : [],
      ),
    ).toEqual([
      [
        'disk0: /vm/plain looks like qcow2, which its name does not say',
        'write `format: qcow2` if that is right, `format: raw` if the guest wrote it',
      ],
    ]);
    expect(option(made, 'blockdev', 'disk1')).toMatchObject({ driver: 'qcow2' });
  });

  it('is blamed where it stands for what its type has by default', () => {
    const { diagnostics } = make('disks: [{ type: vvfat, dir: /folder, bus: sata }]\n');
    expect(diagnostics.map(({ message, origin }) => [message, origin?.file, origin?.line])).toEqual([
      ['disk0: a SATA or IDE disk cannot be read-only', 'vm.yaml', 1],
    ]);
  });

  describe('that are to be made', () => {
    const file = { kind: 'file', readable: true, writable: true } as const;
    const disk = (settings: string, paths: HostFacts['paths'] = {}) =>
      make(`disks: [{ file: /a.qcow2, bus: virtio, ${settings} }]\n`, { ...LAPTOP, paths });
    const unmet = (made: ReturnType<typeof make>): unknown[] =>
      made.plan.requirements.flatMap((each) => (each.kind === 'unmet' ? [each.code] : []));

    it('are made where they are missing, and only their directory must be there', () => {
      const { plan } = disk('size: 64G, backing: /base.raw', { '/a.qcow2': { ...file, kind: 'missing' } });
      expect(plan.steps.filter((step) => step.do === 'create-image')).toMatchObject([
        { path: '/a.qcow2', format: 'qcow2', size: 64 * 2 ** 30, backing: { path: '/base.raw', format: 'raw' } },
      ]);
      expect(plan.requirements).toContainEqual(expect.objectContaining({ kind: 'program', program: 'qemu-img' }));
      expect(plan.requirements).toContainEqual(
        expect.objectContaining({ path: '/a.qcow2', made: { bytes: 64 * 2 ** 30, atOnce: false } }),
      );
      expect(plan.requirements).toContainEqual(expect.objectContaining({ path: '/base.raw', access: 'read' }));
      expect(
        judgeRequirements(plan.requirements, { ...LAPTOP, paths: { '/a.qcow2': { ...file, kind: 'missing' } } }),
      ).toEqual(
        judgeRequirements(
          plan.requirements.filter(({ kind }) => kind !== 'path'),
          LAPTOP,
        ),
      );
    });

    it('are left as they are where they are there, with a word when they are of another size', () => {
      const there = { '/a.qcow2': { ...file, format: 'qcow2', virtualSize: 2 ** 30 } as const };
      expect(disk('size: 1G', there).plan.steps.filter((step) => step.do === 'create-image')).toEqual([]);
      expect(disk('size: 1G', there).plan.notes.map(({ code }) => code)).not.toContain('size-differs');
      expect(disk('size: 2G', there).plan.notes).toContainEqual(
        expect.objectContaining({ code: 'size-differs', help: expect.stringContaining('qemu-img resize /a.qcow2 2G') }),
      );
    });

    it('are never made among devices', () => {
      const { plan } = make('disks: [{ file: /dev/vm1/a, size: 1G }]\n');
      expect(plan.steps.filter((step) => step.do === 'create-image')).toEqual([]);
    });

    it('must be laid over what their header says', () => {
      const over = (backing?: string): HostFacts['paths'] => ({
        '/a.qcow2': {
          ...file,
          format: 'qcow2',
          virtualSize: 1,
          ...(backing !== undefined && { backing, backingFormat: 'raw' }),
        },
      });
      expect(unmet(disk('backing: /base.raw', over('/base.raw')))).toEqual([]);
      expect(unmet(disk('backing: /base.raw', over('/other.raw')))).toEqual(['backing-differs']);
      expect(unmet(disk('backing: /base.raw', over()))).toEqual(['backing-differs']);
      expect(disk('cache: none', over('/base.raw')).plan.requirements).toContainEqual(
        expect.objectContaining({ kind: 'path', path: '/base.raw', access: 'read' }),
      );
    });

    it('are refused where nothing says which format they are laid over', () => {
      const unsaid = { '/a.qcow2': { ...file, format: 'qcow2', virtualSize: 1, backing: '/base' } as const };
      expect(unmet(disk('cache: none', unsaid))).toEqual(['format-unclear']);
      expect(unmet(disk('backing: /base', unsaid))).toEqual([]);
      const elsewhere = { '/a.qcow2': { ...file, format: 'qcow2', virtualSize: 1, unlisted: ['json:{}'] } } as const;
      expect(unmet(disk('cache: none', elsewhere))).toEqual(['image-unlisted']);
    });

    it('are not laid over what another disk writes', () => {
      const { diagnostics } = make('disks: [{ file: /a.qcow2, backing: /b.raw }, /b.raw]\n');
      expect(diagnostics.map(({ message }) => message)).toEqual(['disk0 is laid over /b.raw, which disk1 writes']);
      const both = 'disks: [{ file: /a.qcow2, backing: /b.raw }, { file: /b.raw, bus: usb, read-only: on }]\n';
      expect(make(both).diagnostics).toEqual([]);
      const known = { '/a.qcow2': { ...file, format: 'qcow2', backing: '/b.raw', backingFormat: 'raw' } as const };
      expect(make('disks: [/b.raw, /a.qcow2]\n', { ...LAPTOP, paths: known }).diagnostics).toHaveLength(1);
    });

    it('are not smaller than what they are laid over', () => {
      const base = (size: string): unknown[] =>
        unmet(
          disk(`size: ${size}, backing: /base.raw`, { '/base.raw': { ...file, format: 'raw', size: 64 * 2 ** 20 } }),
        );
      expect([base('1M'), base('64M'), base('1G')]).toEqual([['backing-larger'], [], []]);
    });

    it('are not laid over themselves', () => {
      const { diagnostics } = make('disks: [{ file: /a.qcow2, backing: /a.qcow2 }]\n');
      expect(diagnostics.map(({ message }) => message)).toEqual(['disk0: the image would be laid over itself']);
    });

    it('are laid over another by qcow2 alone', () => {
      const { diagnostics } = make('disks: [{ file: /a.raw, backing: /b.raw }]\n');
      expect(diagnostics.map(({ message }) => message)).toEqual([
        'disk0: an image of the format raw cannot be laid over another',
      ]);
    });
  });

  it.each([
    ['none', true, false, 'on'],
    ['writeback', false, false, 'on'],
    ['writethrough', false, false, 'off'],
    ['directsync', true, false, 'off'],
    ['unsafe', false, true, 'on'],
  ])('with cache %s is opened as QEMU means it', (cache, direct, noFlush, write) => {
    const made = make(`disks: [{ file: a, bus: virtio, cache: ${cache} }]\n`);
    expect(option(made, 'blockdev', 'disk0')['cache']).toEqual({ direct, 'no-flush': noFlush });
    expect(option(made, 'device', 'disk0-device')['write-cache']).toBe(write);
  });
});

describe('the other resolvers', () => {
  it.each([
    ['display: spice', 'hda', '9.0.0', undefined, ['pipewire'], 'spice'],
    ['display: spice-app', 'hda', '9.0.0', undefined, ['pipewire'], 'spice'],
    ['display: gtk', 'hda', '9.0.0', ['pa', 'pipewire'], ['pipewire', 'pa'], 'pipewire'],
    ['display: gtk', 'hda', '8.0.0', ['pa', 'pipewire'], ['pipewire', 'pa'], 'pa'],
    ['display: gtk', 'hda', '9.0.0', ['alsa', 'pa'], ['pipewire', 'pa', 'alsa'], 'pa'],
    ['display: gtk', 'hda', '9.0.0', ['alsa', 'pa'], ['alsa'], 'alsa'],
    ['display: gtk', 'hda', '9.0.0', ['pa'], [], 'none'],
    ['display: none', 'hda', '9.0.0', ['pa'], ['pa'], 'none'],
    ['display: vnc', 'hda', '9.0.0', ['pa'], ['pa'], 'none'],
    ['display: gtk', '{ backend: jack }', '9.0.0', ['pa', 'jack'], ['pa'], 'jack'],
    ['display: { type: dbus, audio: on }', 'hda', '9.0.0', ['pa', 'dbus'], ['pa'], 'dbus'],
    ['display: dbus', 'hda', '9.0.0', ['pa', 'dbus'], ['pa'], 'pa'],
  ])('play sound of %j and %j with QEMU %s built with %j where there is %j through %s', (...row) => {
    const [display, audio, text, audiodevs, sound, backend] = row;
    const [major = 0, minor = 0, micro = 0] = text.split('.').map(Number);
    const { qemu } = LAPTOP;
    const facts = {
      ...LAPTOP,
      sound,
      ...(qemu && { qemu: { ...qemu, version: { major, minor, micro }, audiodevs: audiodevs ?? qemu.audiodevs } }),
    };
    const made = make(`${display}\naudio: ${audio}\n`, facts);
    expect(option(made, 'audiodev')['driver']).toBe(backend);
    // Nobody asked for silence where somebody sits at a window.
    const silent = backend === 'none' && display === 'display: gtk';
    expect(made.plan.notes.filter(({ code }) => code === 'sound-missing')).toHaveLength(silent ? 1 : 0);
  });

  it('refuse another sound back-end than the bus that the display wants it on', () => {
    expect(faults('display: { type: dbus, audio: on }\naudio: { backend: pa }\n')).toEqual([
      'vm.yaml:2:19 audio.backend is pa, and the display wants it on the bus',
    ]);
  });

  it('pin the machine to a version that this QEMU has', () => {
    const newest = LAPTOP.qemu?.machines['q35'] ?? '';
    const version = newest.replace('pc-q35-', '');
    expect(option(make(`machine: { version: "${version}" }\n`), 'machine')['type']).toBe(newest);
    expect(make('machine: { version: "1.0" }\n').plan.requirements).toContainEqual(
      expect.objectContaining({ code: 'machine-unknown' }),
    );
  });

  it('say what the firmware must be able to do where none is', () => {
    const { plan } = make('template: windows-11\n', { ...BARE, firmware: [] });
    expect(plan.requirements).toContainEqual(
      expect.objectContaining({
        code: 'firmware-missing',
        message: 'no UEFI firmware is installed that does Secure Boot with enrolled keys',
      }),
    );
  });

  describe('of UEFI', () => {
    const file = { kind: 'file', readable: true, writable: true, format: 'raw' } as const;
    const PATHS: HostFacts['paths'] = {
      '/vm/2M.fd': { ...file, size: 131072 },
      '/vm/4M.fd': { ...file, size: 540672 },
      '/vm/blank.qcow2': { ...file, format: 'qcow2', size: 196608, virtualSize: 64 * 2 ** 20 },
      '/vm/none.fd': { kind: 'missing', readable: false, writable: false },
      '/vm/own.fd': { ...file, size: 1966080 },
      '/usr/share/OVMF/OVMF_CODE.fd': { ...file, size: 1966080 },
    };
    const made = (settings: string, template = 'linux') =>
      make(`template: ${template}\nfirmware: { ${settings} }\n`, { ...LAPTOP, paths: PATHS });
    const images = (one: ReturnType<typeof make>): unknown[] =>
      ['pflash0', 'pflash1'].map((node) => option(one, 'blockdev', node)['file']);
    const unmet = (one: ReturnType<typeof make>): string[] =>
      one.plan.requirements.flatMap((each) => (each.kind === 'unmet' ? [each.message] : []));

    it.each([
      ['', 'OVMF_CODE_4M.fd', '/state/vm/efivars.fd', 'OVMF_VARS_4M.fd'],
      ['size: 4M', 'OVMF_CODE_4M.fd', '/state/vm/efivars.fd', 'OVMF_VARS_4M.fd'],
      ['size: 2M', 'OVMF_CODE.fd', '/state/vm/efivars-2M.fd', 'OVMF_VARS.fd'],
      ['vars: 2M.fd', 'OVMF_CODE.fd', '/vm/2M.fd', 'OVMF_VARS.fd'],
      ['vars: 4M.fd', 'OVMF_CODE_4M.fd', '/vm/4M.fd', 'OVMF_VARS_4M.fd'],
      ['secure-boot: on', 'OVMF_CODE_4M.ms.fd', '/state/vm/efivars.fd', 'OVMF_VARS_4M.ms.fd'],
      ['secure-boot: on, size: 2M', 'OVMF_CODE.ms.fd', '/state/vm/efivars-2M.fd', 'OVMF_VARS.ms.fd'],
      ['secure-boot: on, enrolled-keys: off', 'OVMF_CODE_4M.secboot.fd', '/state/vm/efivars.fd', 'OVMF_VARS_4M.fd'],
      // An image that is installed is known by its path.
      ['code: /usr/share/OVMF/OVMF_CODE.fd', 'OVMF_CODE.fd', '/state/vm/efivars-2M.fd', 'OVMF_VARS.fd'],
      ['code: /usr/share/OVMF/OVMF_CODE.fd, vars: none.fd', 'OVMF_CODE.fd', '/vm/none.fd', 'OVMF_VARS.fd'],
    ])('with { %s } is %s with %s, made of %s', (settings, code, vars, template) => {
      const one = made(settings);
      expect(unmet(one)).toEqual([]);
      expect(images(one)).toEqual([
        { driver: 'file', filename: `/usr/share/OVMF/${code}` },
        { driver: 'file', filename: vars.replace('/state', LAPTOP.dirs.state) },
      ]);
      expect(one.plan.steps).toContainEqual(
        expect.objectContaining({ do: 'copy', from: `/usr/share/OVMF/${template}` }),
      );
    });

    it.each([
      [
        'size: 4M, vars: 2M.fd',
        '/vm/2M.fd has 128K, and is no variable store for /usr/share/OVMF/OVMF_CODE_4M.fd, which has one of 528K',
      ],
      [
        'code: /usr/share/OVMF/OVMF_CODE.fd, vars: 4M.fd',
        '/vm/4M.fd has 528K, and is no variable store for /usr/share/OVMF/OVMF_CODE.fd, which has one of 128K',
      ],
      ['code: own.fd, vars: 4M.fd', '/vm/4M.fd has 528K, and is no variable store for /vm/own.fd'],
      [
        'vars: blank.qcow2',
        '/vm/blank.qcow2 looks like qcow2, and the variable store of /usr/share/OVMF/OVMF_CODE_4M.fd is raw',
      ],
      ['enrolled-keys: on', 'no UEFI firmware is installed with enrolled keys and no Secure Boot'],
    ])('is refused with { %s }', (settings, message) => {
      expect(unmet(made(settings))).toEqual([message]);
    });

    it.each([
      ['vars: /dev/vm1/vars', 540672],
      ['size: 2M, vars: /dev/vm1/vars', 131072],
      ['code: own.fd, vars: /dev/vm1/vars', 540672],
      ['code: own.fd, vars: /dev/vm1/vars, vars-size: 128K', 131072],
    ])('with { %s } has so much of a device for variables: %i', (settings, size) => {
      expect(option(made(settings), 'blockdev', 'pflash1')['size']).toBe(size);
    });

    it('of no descriptor must have variables of its own', () => {
      expect(unmet(made('code: own.fd, vars: 2M.fd'))).toEqual([]);
      expect(
        judgeRequirements(made('code: own.fd, vars: none.fd').plan.requirements, { ...LAPTOP, paths: PATHS }),
      ).toContainEqual(expect.objectContaining({ code: 'path-missing', message: '/vm/none.fd does not exist' }));
    });

    it('has keys enrolled where Secure Boot is on', () => {
      expect(unmet(made('secure-boot: off', 'windows-11'))).toEqual([]);
      expect(option(made('secure-boot: off', 'windows-11'), 'blockdev', 'pflash0')['file']).toMatchObject({
        filename: '/usr/share/OVMF/OVMF_CODE_4M.fd',
      });
    });

    it.each([
      ['windows-11', '', true],
      ['windows-10', '', false],
      ['linux', 'secure-boot: on', true],
      ['linux', 'secure-boot: on, enrolled-keys: off', false],
      ['windows-11', 'vars: /dev/vm1/vars', false],
    ])('looks for keys among the variables that %s with "%s" keeps: %s', (template, firmware, looks) => {
      const { requirements } = made(firmware, template).plan;
      expect(requirements.filter(({ kind }) => kind === 'enrolled-keys')).toMatchObject(
        looks ? [{ path: expect.stringMatching(/vm.efivars.fd$/), made: true }] : [],
      );
    });

    it('has no size on a board that has but one', () => {
      const { diagnostics } = make('template: linux\nmachine: virt\nfirmware: { size: 2M }\n', hostFacts('arm-linux'));
      expect(diagnostics.map(({ message }) => message)).toEqual([
        'firmware: size 2M does not go with the board virt, which has no x86',
      ]);
    });
  });

  it('copy a variable store once, and leave a device alone', () => {
    expect(make('template: linux\n').plan.steps.filter((step) => step.do === 'copy')).toHaveLength(1);
    expect(
      make('template: linux\nfirmware: { vars: /dev/vm1/vars }\n').plan.steps.filter((step) => step.do === 'copy'),
    ).toEqual([]);
  });

  it('hand over every function of a card', () => {
    const { plan } = make('gpu: { type: passthrough, pci: ["0000:03:00.0", "0000:03:00.1"], x-vga: on }\n');
    const cards = plan.qemu.options.flatMap(({ args }) =>
      typeof args === 'object' && args['driver'] === 'vfio-pci' ? [args] : [],
    );
    expect(cards).toEqual([
      {
        driver: 'vfio-pci',
        host: '0000:03:00.0',
        id: 'gpu.0',
        bus: 'rp-14.0',
        addr: '0.0',
        multifunction: true,
        'x-vga': true,
      },
      { driver: 'vfio-pci', host: '0000:03:00.1', id: 'gpu.1', bus: 'rp-14.0', addr: '0.1' },
    ]);
  });
});

describe('what the host must have', () => {
  it('is judged by its facts', () => {
    const made = make('template: linux\ndisks: [gone.raw]\nmemory: 512G\n', {
      ...BARE,
      paths: { '/vm/gone.raw': { kind: 'missing', readable: false, writable: false } },
    });
    const told = judgeRequirements(made.plan.requirements, BARE).map(({ code }) => code);
    expect(told).toContain('memory-short');
    const paths = judgeRequirements(made.plan.requirements, {
      ...BARE,
      paths: { '/vm/gone.raw': { kind: 'missing', readable: false, writable: false } },
    });
    expect(paths).toContainEqual(
      expect.objectContaining({ code: 'path-missing', origin: { file: 'vm.yaml', line: 2, column: 9 } }),
    );
  });

  it.each([
    ['usb: { type: host }', 1],
    ['usb: on', 1],
    ['usb: [{ type: host, hostbus: 1 }]', 1],
    ['usb: [{ type: host, vendorid: 1, hostport: "2" }]', 1],
    ['usb: [{ type: host, vendorid: 1, productid: 2 }]', 0],
    ['usb: [{ hostbus: 1, hostport: "2" }]', 0],
  ])('includes knowing which USB device is meant by %s', (vm, unclear) => {
    const { plan } = make(`${vm}\n`);
    expect(
      plan.requirements.filter((each) => each.kind === 'unmet' && each.code === 'usb-device-unclear'),
    ).toHaveLength(unclear);
  });

  it('is said of ports, with their addresses', () => {
    const made = make(
      'network: { type: user, forward: ["2222:22", "udp/0.0.0.0:53:53"] }\nspice: { type: tcp, port: 5901 }\n',
    );
    expect(made.plan.requirements.filter(({ kind }) => kind === 'port')).toMatchObject([
      { host: '127.0.0.1', port: 5901, protocol: 'tcp' },
      { host: '127.0.0.1', port: 2222, protocol: 'tcp' },
      { host: '0.0.0.0', port: 53, protocol: 'udp' },
    ]);
  });

  it('includes what this build of QEMU must have', () => {
    const { qemu } = LAPTOP;
    const facts = {
      ...LAPTOP,
      ...(qemu && {
        qemu: {
          ...qemu,
          displays: ['none'],
          spice: false,
          devices: qemu.devices.filter((name) => name !== 'virtio-vga'),
        },
      }),
    };
    const codes = make('template: linux\nspice: unix\n', facts).plan.requirements.flatMap((each) =>
      each.kind === 'unmet' ? [each.message] : [],
    );
    expect(codes).toHaveLength(3);
    expect(codes.join()).toMatch(/no device virtio-vga.*no display gtk|without SPICE/);
  });

  it('warns of less than the system asks for', () => {
    expect(notes(make('template: windows-11\nmemory: 2G\ncpu: 1\n'))).toEqual(['memory-small', 'cores-few']);
    expect(notes(make('template: windows-11\ncpu: { sockets: 2, cores: 1 }\n'))).toEqual([]);
  });
});

it('memory is given to QEMU with its unit, which it would else take for megabytes', () => {
  expect(option(make('memory: 1500000\n'), 'm')).toEqual({ size: '1500000B' });
  expect(option(make('memory: 16G\n'), 'm')).toEqual({ size: '16G' });
});

it('directories that sidecars cannot be told are refused', () => {
  const facts = { ...LAPTOP, dirs: { ...LAPTOP.dirs, state: '/home/a,b/state' } };
  expect(faults('template: linux\n', facts)).toEqual([
    '- the directory "/home/a,b/state/vm" has a comma or a line break in its name',
  ]);
});

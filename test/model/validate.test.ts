import { describe, expect, it } from 'vitest';
import { makeVm } from './layered.ts';

describe('a VM', () => {
  it('is told all its faults at once, each with its place', () => {
    const { faults } = makeVm({
      vm: 'template: linux\nname: a b\nuuid: 5\ncpu: { cores: 0, cors: 2 }\nmemory: lots\nfirmware: { secure-boot: maybe }\ndisks: [{ bus: scsy }]\nrun: { stop-timeout: soon }\nvars: { "a b": 1, c: [1] }\nqemu: { sets: 1, args: [1] }\nfoo: 1\n',
    });
    expect(faults.toSorted()).toEqual([
      'vm.yaml:10:25 qemu.args is 1, which YAML reads as a number; text is wanted',
      'vm.yaml:10:9 qemu has no key "sets"',
      'vm.yaml:11:1 there is no section "foo"',
      'vm.yaml:2:7 the VM\'s name is "a b"; up to 64 letters, digits and . _ - are wanted, a letter or digit first',
      'vm.yaml:3:7 uuid is 5; a UUID such as 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7 is wanted',
      'vm.yaml:4:15 cpu.cores is 0; a whole number from 1 to 1024 is wanted',
      'vm.yaml:4:18 cpu (cpu) has no key "cors"',
      'vm.yaml:5:9 memory.size is "lots"; a size such as 512M or 16G, at least 1M, is wanted',
      'vm.yaml:6:26 firmware.secure-boot is "maybe"; on or off is wanted',
      'vm.yaml:7:16 disks[0].bus is "scsy"; use virtio, scsi, scsi-single, pvscsi, lsi, megasas, sata, ide, nvme or usb',
      'vm.yaml:7:9 disks[0] (disk) needs file',
      'vm.yaml:8:22 run.stop-timeout is "soon"; a whole number from 1 to 86400 is wanted',
      'vm.yaml:9:16 vars.a b is no name for a variable',
      'vm.yaml:9:22 vars.c is no single value',
    ]);
  });

  it.each([
    ['cpus: 4\n', '1:1', 'did you mean cpu?'],
    ['cpu: { core: 4 }\n', '1:8', 'did you mean cores?'],
    ['run: { stop-timeot: 5 }\n', '1:8', 'did you mean stop-timeout?'],
    ['defaults: { disk: { bus: scsi } }\n', '1:13', 'did you mean disks?'],
    ['defaults: { disks: { buss: scsi } }\n', '1:22', 'did you mean bus?'],
    ['network: [{ hostnme: a }]\n', '1:13', 'did you mean hostname?'],
    ['display: { type: none, gl: on }\n', '1:24', 'dbus, gtk, sdl or spice-app have it; none does not'],
    ['minimum: { memory: 1G }\n', '1:1', /^known are machine cpu/],
    ['base: linux\n', '1:1', /^known are machine cpu/],
    ['bus: xhci\n', '1:1', /^known are machine cpu/],
    ['hasOwnProperty: 1\n', '1:1', /^known are machine cpu/],
    ['cpu: { toString: 1 }\n', '1:8', /^known are type model cores/],
  ])('with the unknown key in %j is helped', (vm, place, help) => {
    const { diagnostics } = makeVm({ vm });
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]?.code).toBe('key-unknown');
    expect(`${diagnostics[0]?.origin?.line}:${diagnostics[0]?.origin?.column}`).toBe(place);
    expect(diagnostics[0]?.help).toMatch(
      typeof help === 'string' ? new RegExp(`^${help.replace(/[?.]/g, '\\$&')}$`) : help,
    );
  });

  it.each([
    ['vars: 5\n', 'vm.yaml:1:7 vars is no map; `name: value` lines are wanted'],
    ['run: 5\n', 'vm.yaml:1:6 run is no map'],
    ['run: { stop-timeout: { a: 1 } }\n', 'vm.yaml:1:22 run.stop-timeout is a map; a single value is wanted'],
    ['defaults: { disks: { cdrom: { buss: scsi } } }\n', 'vm.yaml:1:31 defaults.disks.cdrom has no key "buss"'],
    ['defaults: { disks: { cdrom: scsi } }\n', 'vm.yaml:1:22 defaults.disks has no key "cdrom"'],
    ['defaults: { disks: { bus: {} } }\ndisks: [a]\n', 'vm.yaml:1:27 disks[0].bus is a map; a single value is wanted'],
    ['defaults: [1]\n', 'vm.yaml:1:11 defaults is no map'],
    ['name: { a: 1 }\n', 'vm.yaml:1:7 name is a map; text is wanted'],
    ['name: 5\n', 'vm.yaml:1:7 name is 5, which YAML reads as a number; text is wanted'],
    [
      'name: .hidden\n',
      'vm.yaml:1:7 the VM\'s name is ".hidden"; up to 64 letters, digits and . _ - are wanted, a letter or digit first',
    ],
    [
      'name: ../up\n',
      'vm.yaml:1:7 the VM\'s name is "../up"; up to 64 letters, digits and . _ - are wanted, a letter or digit first',
    ],
    [
      `name: ${'a'.repeat(65)}\n`,
      `vm.yaml:1:7 the VM's name is "${'a'.repeat(56)}…; up to 64 letters, digits and . _ - are wanted, a letter or digit first`,
    ],
    ['cpu: { cores: { a: 1 } }\n', 'vm.yaml:1:15 cpu.cores is a map; a single value is wanted'],
    ['description: [a]\n', 'vm.yaml:1:14 description is a list; text is wanted'],
    ['qemu: 5\n', 'vm.yaml:1:7 qemu is no map; `set:` and `args:` are wanted'],
    ['qemu: { set: 5 }\n', 'vm.yaml:1:14 qemu.set is no map'],
    ['qemu: { set: { "device:gpu": 5 } }\n', 'vm.yaml:1:30 qemu.set.device:gpu is no map of properties'],
    [
      'qemu: { set: { "device:gpu": { "a,b": 5 } } }\n',
      'vm.yaml:1:32 qemu.set.device:gpu: "a,b" cannot be the name of a property',
    ],
    [
      'qemu: { set: { "device:gpu": { "a=b": 5 } } }\n',
      'vm.yaml:1:32 qemu.set.device:gpu: "a=b" cannot be the name of a property',
    ],
    [
      'qemu: { set: { "device:gpu": { a: 1.10 } } }\n',
      'vm.yaml:1:35 qemu.set.device:gpu.a is 1.10, which YAML reads as the number 1.1',
    ],
    [
      'qemu: { set: { "device:gpu": { a: 12345678901234567890 } } }\n',
      'vm.yaml:1:35 qemu.set.device:gpu.a is 12345678901234567890, which YAML reads as the number 12345678901234567000',
    ],
    [
      'qemu: { set: { "device:gpu": { a: "${vars.x}" } } }\n',
      'vm.yaml:1:35 qemu.set.device:gpu.a: ${vars.x} names nothing',
    ],
    ['qemu: { args: { a: 1 } }\n', 'vm.yaml:1:15 qemu.args is a map; a list of words is wanted'],
  ])('is refused for %j', (vm, fault) => {
    expect(makeVm({ vm }).faults).toEqual([fault]);
  });

  it('gets what it does not say', () => {
    const { spec } = makeVm({});
    expect(spec).toMatchObject({ name: 'vm', file: '/vm/vm.yaml', stopTimeout: 90 });
    expect(spec.uuid).toBe(makeVm({}).spec.uuid);
    expect(spec.uuid).not.toBe(makeVm({ vm: 'name: other\n' }).spec.uuid);
  });
});

describe('patches of options', () => {
  it('are read with their references, switches and numbers', () => {
    const { spec, faults } = makeVm({
      vm: 'vars: { n: 5, t: "1.10" }\nqemu:\n  set:\n    "device:gpu": { a: "${vars.n}", b: "x${vars.t}", c: on, d: off, e: 0x1f, f: null, g: [1, a], h: { i: null } }\n  args: ["-x", "${vars.t}"]\n',
    });
    expect(faults).toEqual([]);
    expect(spec.qemu.set[0]?.props).toEqual({
      a: 5,
      b: 'x1.10',
      c: true,
      d: false,
      e: 31,
      f: null,
      g: [1, 'a'],
      h: { i: null },
    });
    expect(spec.qemu.args).toEqual([
      { word: '-x', origin: { file: 'vm.yaml', line: 5, column: 10 } },
      { word: '1.10', origin: { file: 'vm.yaml', line: 5, column: 16 } },
    ]);
  });

  it('may be taken back by a stronger layer', () => {
    const templates = { 'profiles/p.yaml': 'qemu: { set: { "device:gpu": { a: 1 } } }\n' };
    const { spec, faults } = makeVm({ templates, vm: 'profiles: p\nqemu: { set: { "device:gpu": null } }\n' });
    expect(faults).toEqual([]);
    expect(spec.qemu.set).toEqual([]);
  });
});

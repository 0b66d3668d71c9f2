import { describe, expect, it } from 'vitest';
import type { HostFacts } from '../../src/host/facts.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { QemuProps } from '../../src/qemu/option.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, specOf } from '../planned.ts';

const LAPTOP = hostFacts('laptop');
const TCG: HostFacts = { ...LAPTOP, kvm: { usable: false, reason: 'not here' } };

function make(text: string, facts: HostFacts = LAPTOP) {
  const { spec, diagnostics } = specOf(`template: debian\nname: vm\n${text}`, CATALOG);
  expect(diagnostics).toEqual([]);
  const { plan, diagnostics: faults } = assemble(spec, CATALOG, facts);
  const option = (name: string): QemuProps => {
    const found = plan.qemu.options.find((one) => one.name === name);
    return typeof found?.args === 'object' ? found.args : {};
  };
  const unmet = plan.requirements.flatMap((one) => (one.kind === 'unmet' ? [one.message] : []));
  return {
    option,
    unmet,
    faults: faults.map(({ message }) => message),
    notes: plan.notes.map(({ message }) => message),
  };
}

describe('processors', () => {
  it('are those of all sockets, dies, cores and threads', () => {
    expect(make('cpu: { sockets: 2, dies: 2, cores: 3, threads: 2 }\n').option('smp')).toEqual({
      cpus: 24,
      sockets: 2,
      dies: 2,
      cores: 3,
      threads: 2,
    });
  });

  it('may be plugged in later, but no more than there are places for', () => {
    expect(make('cpu: { cores: 8, present: 2 }\n').option('smp')).toMatchObject({ cpus: 2, maxcpus: 8 });
    expect(make('cpu: { cores: 2, present: 4 }\n').faults).toEqual([
      'cpu.present is 4, and there are 2 processors in all',
    ]);
  });

  it('are refused where the board has no such thing', () => {
    expect(make('cpu: { clusters: 2 }\n').faults).toEqual([
      'cpu: clusters does not go with the board q35, which has no clusters',
    ]);
  });

  it('are told to be too many for the board, for QEMU without KVM, and for the host', () => {
    const { qemu } = LAPTOP;
    if (!qemu) throw new Error('the laptop has QEMU');
    const facts = { ...LAPTOP, qemu: { ...qemu, maxCpus: { 'pc-q35-10.0': 4096, 'pc-i440fx-10.0': 255 } } };
    expect(make('cpu: { cores: 128, threads: 4 }\n', facts).unmet).toEqual([]);
    expect(make('machine: pc\nfirmware: bios\ncpu: { cores: 128, threads: 4 }\n', facts).unmet).toEqual([
      'the VM has 512 processors; the board pc-i440fx-10.0 takes 255 at most',
    ]);
    const old = { ...TCG, qemu: { ...qemu, version: { major: 7, minor: 2, micro: 0 } } };
    expect(make('cpu: { cores: 300 }\n', old).unmet).toEqual([
      'the VM has 300 processors; without KVM this QEMU takes 255 at most',
    ]);
    expect(make('cpu: 20\n').notes).toEqual([
      'the VM has 20 processors, and the host 16: they will wait for each other',
    ]);
  });

  it('of AMD tell of their threads, those of Intel do so anyway', () => {
    const cpu = 'cpu: { cores: 2, threads: 2 }\n';
    expect(make(cpu, { ...LAPTOP, cpuVendor: 'AuthenticAMD' }).option('cpu')).toMatchObject({ topoext: true });
    expect(make(cpu, { ...LAPTOP, cpuVendor: 'GenuineIntel' }).option('cpu')).not.toHaveProperty('topoext');
    expect(make('cpu: 4\n', { ...LAPTOP, cpuVendor: 'AuthenticAMD' }).option('cpu')).not.toHaveProperty('topoext');
  });

  it('of a fleet are the same on every host, or are refused', () => {
    const { option } = make('cpu: { type: x86-64-v2, cores: 4, flags: [+pcid] }\n');
    expect(option('cpu')).toEqual({
      model: 'qemu64',
      popcnt: true,
      pni: true,
      ssse3: true,
      'sse4.1': true,
      'sse4.2': true,
      enforce: true,
      pcid: true,
    });
    expect(make('cpu: { type: x86-64-v2 }\n', TCG).option('cpu')).not.toHaveProperty('enforce');
  });

  it('have a name in the place of Hyper-V that QEMU takes whole', () => {
    const { diagnostics } = specOf('cpu: { hyperv-vendor: abcdefghijklm }\n', CATALOG);
    expect(diagnostics.map(({ message }) => message)).toEqual([
      'cpu.hyperv-vendor is "abcdefghijklm"; a word of at most 12 characters is wanted',
    ]);
  });

  it.each([
    ['[nosuch]', ['cpu.hyperv: there is no enlightenment "nosuch"']],
    ['[toString]', ['cpu.hyperv: there is no enlightenment "toString"']],
    [
      '[hv-relaxed, hv_stimer_direct]',
      [
        'cpu.hyperv: there is no enlightenment "hv-relaxed"',
        'cpu.hyperv: there is no enlightenment "hv_stimer_direct"',
      ],
    ],
    ['[stimer]', ['cpu.hyperv: QEMU takes stimer only with synic, vpindex, time']],
    [
      '[stimer-direct, stimer, synic, time]',
      [
        'cpu.hyperv: QEMU takes stimer-direct only with vpindex',
        'cpu.hyperv: QEMU takes stimer only with vpindex',
        'cpu.hyperv: QEMU takes synic only with vpindex',
      ],
    ],
    ['[synic, "vpindex=off"]', ['cpu.hyperv: QEMU takes synic only with vpindex']],
    ['["stimer=off"]', []],
    ['[passthrough, evmcs]', []],
    ['[spinlocks]', ['cpu.hyperv: "spinlocks" is not how it is set']],
    ['["spinlocks=0xffe"]', ['cpu.hyperv: "spinlocks=0xffe" is not how it is set']],
    ['["spinlocks=4095", "no-nonarch-coresharing=auto", "relaxed=on"]', []],
    ['["relaxed=maybe"]', ['cpu.hyperv: "relaxed=maybe" is not how it is set']],
  ])('have of %s what QEMU starts with, whether it has KVM or not', (words, faults) => {
    for (const facts of [LAPTOP, TCG]) expect(make(`cpu: { hyperv: ${words} }\n`, facts).faults).toEqual(faults);
  });

  it('show Windows all enlightenments, or with an AMD card none', () => {
    const windows =
      'template: windows-11\nfirmware: none\ntpm: none\ngpu: { type: passthrough, pci: "0000:03:00.0" }\n';
    for (const profiles of ['[amd-gpu]', '[gaming, amd-gpu]', '[amd-gpu, gaming]']) {
      const { spec } = specOf(`${windows}profiles: ${profiles}\n`, CATALOG);
      const { plan } = assemble(spec, CATALOG, LAPTOP);
      expect(plan.qemu.options.find(({ name }) => name === 'cpu')?.args).toEqual({ model: 'host' });
      expect(plan.sidecars.map(({ name }) => name)).toContain('looking-glass-client');
    }
    const { spec } = specOf(`${windows}profiles: [gaming]\n`, CATALOG);
    expect(assemble(spec, CATALOG, LAPTOP).plan.qemu.options.find(({ name }) => name === 'cpu')?.args).toMatchObject({
      'hv-stimer': true,
      'hv-vendor-id': 'ezvm',
      kvm: false,
    });
  });

  it('show no enlightenment that QEMU is too old for', () => {
    const { qemu } = LAPTOP;
    if (!qemu) throw new Error('the laptop has QEMU');
    const old = { ...LAPTOP, qemu: { ...qemu, version: { major: 7, minor: 0, micro: 0 } } };
    const { option, notes } = make('cpu: { hyperv: [relaxed, xmm-input], hyperv-vendor: ezvm }\n', old);
    expect(option('cpu')).toEqual({ model: 'host', 'hv-relaxed': true, 'hv-vendor-id': 'ezvm' });
    expect(notes).toEqual(['cpu.hyperv: xmm-input needs QEMU 7.1 or newer; left out']);
  });
});

describe('memory that can be plugged in', () => {
  it.each([
    ['{ size: 2G, slots: 2 }', ['memory.slots is given without memory.max']],
    ['{ size: 2G, max: 4G }', ['memory.max is given without memory.slots']],
    ['{ size: 2G, max: 1G, slots: 2 }', ['memory.max is 1G, and 2G are there from the start']],
    ['{ size: 2G, max: 4G, slots: 2 }', []],
  ])('is refused or not: %s', (memory, faults) => {
    expect(make(`memory: ${memory}\n`).faults).toEqual(faults);
  });
});

describe('nodes of memory and processors', () => {
  const two = (size: string): string =>
    `memory: ${size}\nnuma: [{ memory: 1G, cpus: "0" }, { memory: 1G, cpus: "1" }]\n`;

  it('have all the memory between them', () => {
    expect(make(two('2G')).faults).toEqual([]);
    expect(make(two('3G')).faults).toEqual(['the nodes have 2G of memory together, and memory.size is 3G']);
  });

  it('take the place of the memory that the machine would have in one piece', () => {
    const memfd = make('memory: { type: memfd, size: 1G }\nnuma: [1G]\n');
    expect(memfd.option('machine')).not.toHaveProperty('memory-backend');
    expect(memfd.option('object')).toMatchObject({ id: 'node0-memory' });
  });

  it('say from where memory comes only together with how', () => {
    expect(make('memory: 1G\nnuma: [{ memory: 1G, host-nodes: [0, 1] }]\n').option('object')).toMatchObject({
      'host-nodes': [0, 1],
      policy: 'bind',
    });
    expect(make('memory: 1G\nnuma: [{ memory: 1G, policy: bind }]\n').faults).toHaveLength(1);
  });
});

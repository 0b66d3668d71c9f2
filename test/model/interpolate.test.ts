import { describe, expect, it } from 'vitest';
import { makeVm } from './layered.ts';

const VARS = 'vars: { seat: 3, text: abc, version: 1.10, zero: 0, no: false, gone: }\n';

describe('a reference', () => {
  it.each<[string, string, unknown]>([
    ['cpu: ${vars.seat}', 'cpu.cores', 3],
    ['cpu: "${1+vars.seat}"', 'cpu.cores', 4],
    ['cpu: "${-1+vars.seat}"', 'cpu.cores', 2],
    ['smbios: { serial: "${vars.text}" }', 'smbios.serial', 'abc'],
    ['smbios: { serial: "<${vars.text}${vars.seat}>" }', 'smbios.serial', '<abc3>'],
    ['smbios: { serial: "v${vars.version}" }', 'smbios.serial', 'v1.10'],
    ['smbios: { serial: "${vars.zero}${vars.no}." }', 'smbios.serial', '0false.'],
    ['smbios: { serial: "${vm.name}/${vm.uuid}" }', 'smbios.serial', 'vm/04d064c3-66a1-4aa7-9589-f8b3ecf91cd7'],
    ['smbios: { serial: "$${vars.text}" }', 'smbios.serial', '${vars.text}'],
    ['smbios: { serial: "$$$${a}" }', 'smbios.serial', '$$${a}'],
    ['smbios: { serial: "$vars.text $$ $1 $& {vars.text}" }', 'smbios.serial', '$vars.text $$ $1 $& {vars.text}'],
    ['firmware: { secure-boot: "${vars.no}" }', 'firmware.secure-boot', false],
    ['cpu: { flags: ["+${vars.text}", b] }', 'cpu.flags', ['+abc', 'b']],
    ['disks: ["/vms/${vars.text}.raw"]', 'disks.disk0.file', '/vms/abc.raw'],
  ])('in %s', (line, path, wanted) => {
    const made = makeVm({ vm: `template: linux\nuuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7\n${VARS}${line}\n` });
    expect(made.faults).toEqual([]);
    expect(made.value(path)).toEqual(wanted);
  });

  it.each([
    [
      'smbios: { serial: "${vars.txt}" }',
      'vm.yaml:2:19 smbios.serial: ${vars.txt} names nothing',
      'did you mean vars.text?',
    ],
    [
      'smbios: { serial: "${vars.gone}" }',
      'vm.yaml:2:19 smbios.serial: ${vars.gone} names nothing',
      /^(there are|did you mean)/,
    ],
    ['smbios: { serial: "a${vars.text" }', 'vm.yaml:2:19 smbios.serial: "${vars.text" is not closed by }', /\$\$\{/],
    ['smbios: { serial: "${}" }', 'vm.yaml:2:19 smbios.serial: ${} is not a reference', /\$\$\{/],
    [
      'smbios: { serial: "${vars.text + 1}" }',
      'vm.yaml:2:19 smbios.serial: ${vars.text + 1} is not a reference',
      /5900\+vars/,
    ],
    [
      'smbios: { serial: "${5900+vars.text}" }',
      'vm.yaml:2:19 smbios.serial: ${5900+vars.text} adds to vars.text, which is no whole number',
      /without quotes/,
    ],
    ['smbios: { serial: "${constructor}" }', 'vm.yaml:2:19 smbios.serial: ${constructor} names nothing', /^there are/],
    [
      'smbios: { serial: "${vars.version}" }',
      'vm.yaml:2:19 smbios.serial is 1.10, which YAML reads as a number; text is wanted',
      'write it in quotes: "1.10"',
    ],
    [
      'name: "${vars.text}"',
      'vm.yaml:2:7 name: ${vars.text} names nothing',
      'the name and uuid of a VM cannot refer to anything',
    ],
    ['cpu: { flags: [a, "${vars.x}"] }', 'vm.yaml:2:19 cpu.flags: ${vars.x} names nothing', /./],
  ])('is refused in %s', (line, fault, help) => {
    const { faults, diagnostics } = makeVm({ vm: `${VARS}${line}\n` });
    expect(faults).toEqual([fault]);
    expect(diagnostics[0]?.help).toMatch(typeof help === 'string' ? help.replace(/[.?]/g, '$&') : help);
  });

  it('adds to numbers alone, and not to what only looks like one', () => {
    const { faults } = makeVm({ vm: 'vars: { seat: "3" }\nboot: { reboot-timeout: "${1+vars.seat}" }\n' });
    expect(faults).toEqual([
      'vm.yaml:2:25 boot.reboot-timeout: ${1+vars.seat} adds to vars.seat, which is no whole number',
    ]);
  });

  it('within a variable is refused, for variables cannot refer to one another', () => {
    const { faults } = makeVm({ vm: 'vars: { a: 1, b: "${vars.a}" }\n' });
    expect(faults).toEqual(['vm.yaml:1:18 vars.b holds ${, but a variable cannot refer to another']);
  });

  it('names variables of any layer', () => {
    const templates = { 'os/mine.yaml': 'vars: { a: weak, b: "2" }\nsmbios: { serial: "${vars.a}${vars.b}" }\n' };
    const made = makeVm({ templates, vm: 'template: mine\nvars: { a: strong }\n' });
    expect(made.value('smbios.serial')).toBe('strong2');
  });
});

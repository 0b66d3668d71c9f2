import { posix } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { checkParam } from '../../src/catalog/params.ts';
import type { ParamSpec, SectionSpec } from '../../src/catalog/template.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';
import { assemble } from '../../src/plan/assemble.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuVersion } from '../../src/qemu/option.ts';
import { renderOptions, type Style } from '../../src/qemu/render.ts';
import { folderTemplates } from '../checkout.ts';
import { hostileText, inYaml } from '../hostile-text.ts';
import { hostFacts, specOf } from '../planned.ts';
import { readKeyval } from '../qemu/option-text.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const UUID = 'uuid: 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7\n';
// As short as the shortest that any of them takes.
const HARMLESS = 'harmless0val';
const HARMLESS_PATH = '/harmless0val/disk.raw';

type Outcome = { readonly plan: Plan } | { readonly faults: readonly Diagnostic[] };

function planOf(yaml: string): Outcome {
  const { spec, diagnostics } = specOf(yaml, CATALOG);
  if (diagnostics.length > 0) return { faults: diagnostics };
  const assembled = assemble(spec, CATALOG, LAPTOP);
  return assembled.diagnostics.length > 0 ? { faults: assembled.diagnostics } : { plan: assembled.plan };
}

/** Every way of writing a command line that ezvm has: JSON, key=value, and for versions of QEMU that know less JSON. */
const DIALECTS: readonly { style: Style; version: QemuVersion }[] = [
  { style: 'json', version: { major: 10, minor: 0, micro: 0 } },
  { style: 'json', version: { major: 7, minor: 0, micro: 0 } },
  { style: 'json', version: { major: 6, minor: 0, micro: 0 } },
  { style: 'keyval', version: { major: 10, minor: 0, micro: 0 } },
];

const FLAGS = ['no-user-config', 'nodefaults'];
/** Options whose argument QEMU takes as it is. */
const WHOLE = ['uuid', 'kernel', 'initrd', 'append'];

/** The key that a first word without one stands for. */
const IMPLIED: { readonly [option: string]: string } = { machine: 'type', cpu: 'model' };

/** A command line as QEMU understands it: the names of options, and for each its properties. */
function understand(argv: readonly string[]): unknown[] {
  const words = [...argv];
  const options: unknown[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const name = word.slice(1);
    const text = FLAGS.includes(name) ? '' : (words.shift() ?? '');
    if (FLAGS.includes(name) || WHOLE.includes(name)) options.push([name, text]);
    else options.push([name, text.startsWith('{') ? JSON.parse(text) : readKeyval(text, IMPLIED[name])]);
  }
  return options;
}

/** All that a plan starts, with `old` replaced by `text` wherever it stands. */
function understood({ qemu, sidecars }: Plan, old = '', text = ''): unknown {
  const all = {
    dialects: DIALECTS.map(({ style, version }) => understand(renderOptions(qemu.options, style, version))),
    sidecars: sidecars.map(({ argv }) => argv),
    passwords: qemu.passwords.map(({ protocol, file }) => [protocol, file]),
  };
  return old === '' ? all : replaceText(all, old, text);
}

function replaceText(tree: unknown, old: string, text: string): unknown {
  if (typeof tree === 'string') return tree.replaceAll(old, () => text);
  if (Array.isArray(tree)) return tree.map((each) => replaceText(each, old, text));
  if (typeof tree !== 'object' || tree === null) return tree;
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, replaceText(value, old, text)]));
}

interface Trial {
  readonly write: (yaml: string) => string;
  readonly harmless: string;
  readonly hostile: string;
  /** What the hostile text becomes on the command line. */
  readonly arrives?: string;
  /** What a message that refuses it must name. */
  readonly name: string;
}

/**
 * Holds the plan of a VM with a hostile text in it against that of a harmless one: the same options with the same
 * properties, and wherever the harmless text stood, the hostile one stands. Else it is refused, by name and place.
 * @returns whether it arrived
 */
function arrives({ write, harmless, hostile, arrives = hostile, name }: Trial): boolean {
  const plain = planOf(write(inYaml(harmless)));
  if ('faults' in plain) throw new Error(plain.faults.map(({ message }) => message).join('\n'));
  expect(JSON.stringify(understood(plain.plan))).toContain(harmless);
  const nasty = planOf(write(inYaml(hostile)));
  if ('plan' in nasty) {
    expect(understood(nasty.plan)).toEqual(understood(plain.plan, harmless, arrives));
    return true;
  }
  const lines = write('HERE').split('\n');
  expect(nasty.faults).toHaveLength(1);
  for (const { message, origin, help } of nasty.faults) {
    expect(message).toContain(name);
    expect(`${message} ${help}`.length).toBeGreaterThan(name.length + 10);
    expect(origin?.file).toBe('vm.yaml');
    expect(lines[(origin?.line ?? 0) - 1]).toContain('HERE');
    expect(lines[(origin?.line ?? 0) - 1]?.slice((origin?.column ?? 0) - 1)).toMatch(/^\[?HERE/);
  }
  return false;
}

interface Place {
  readonly label: string;
  readonly name: string;
  readonly spec: ParamSpec;
  readonly write: (yaml: string) => string;
}

/** Names of interfaces that are looked up, and sizes of pictures: QEMU is told only what follows from them. */
const LOOKED_UP = ['network/macvtap ifname', 'network/sriov parent', 'display/looking-glass resolution'];

/** Each parameter of each device that takes text or a path, and says it to QEMU. */
function places(): Place[] {
  return CATALOG.sections
    .filter((section) => !section.internal)
    .flatMap((section) => CATALOG.types(section).flatMap((type) => placesOf(section, type)))
    .filter(({ label }) => !LOOKED_UP.includes(label));
}

function placesOf(section: SectionSpec, type: string): Place[] {
  const params = Object.entries(CATALOG.device(section, type)?.params ?? {});
  const needed = params.filter(([, { required }]) => required);
  return params
    .filter(([, spec]) => ['string', 'word', 'path'].includes(spec.type))
    .map(([name, spec]) => {
      const others = needed
        .filter(([other, { unless }]) => other !== name && unless !== name)
        .map(([other, each]) => `    ${other}: ${sample(each)}\n`);
      // QEMU takes these two with a kernel only, and the plan gives them with one only.
      if (section.name === 'boot' && name !== 'kernel') others.push('    kernel: /vmlinuz\n');
      if (section.name === 'firmware' && name === 'code') others.push('    vars: /vars\n');
      // Not all that disks can do is for SATA, where a VM without a template has them.
      if (section.name === 'disks' && !['cdrom', 'floppy'].includes(type)) others.push('    bus: virtio\n');
      if (name === 'backing') others.push('    format: qcow2\n');
      if (type === 'dgram' && name === 'local-path') others.push('    remote-path: /there\n');
      if (type === 'dgram' && name === 'remote-path') others.push('    local-path: /here\n');
      if (type === 'iscsi' && name === 'user') others.push('    password-file: /x/y\n');
      if (type === 'iscsi' && name === 'password-file') others.push('    user: x\n');
      if (name === 'throttle-group') others.push('    bps-total: 1M\n');
      // An example for an address is of another network than the usual one.
      if (type === 'user' && ['host', 'dhcpstart', 'dns'].includes(name)) others.push('    net: 192.168.76.0/24\n');
      if (name === 'tls-hostname') others.push('    tls: /x/y\n');
      if (section.name === 'spice' && name === 'rendernode') others.push('    gl: on\n');
      // Not every board has these.
      const without = { machine: 'firmware: none\ngpu: none\n', numa: 'cpu: 4\nmemory: 2G\n' }[section.name] ?? '';
      const item = section.plural ? `${section.name}:\n  id0:\n` : `${section.name}:\n`;
      return {
        label: `${section.name}/${type} ${name}`,
        name: `.${name}`,
        spec,
        write: (yaml) =>
          `${UUID}${without}${item}    type: ${type}\n${section.plural ? '    slot: 0\n' : ''}${others.join('')}    ${name}: ${yaml}\n`,
      };
    });
}

/** Whether not every text will do. */
function isBounded({ min, max, pattern }: ParamSpec): boolean {
  return (min ?? max ?? pattern) !== undefined;
}

/** A text, or where the parameter does not take it, the template's example. */
function takenBy(spec: ParamSpec, text: string): string {
  const checked = checkParam(spec, { kind: 'scalar', at: [1, 1], value: text }, { resolvePath: (path) => path });
  return 'value' in checked ? text : String(spec.example);
}

function sample(spec: ParamSpec): string {
  const { type } = spec;
  if (['string', 'word'].includes(type)) return inYaml(takenBy(spec, 'x'));
  return { int: '0', port: '5900', size: '2G', list: '["0000:01:00.0"]', path: '/x/y.raw' }[type as string] ?? 'x';
}

/** Words with a meaning of their own. */
const SPECIAL = /^(auto|host|on|off|yes|no|true|false)$/i;

describe('a hostile value arrives as that very value of that very property, or is refused by name and place', () => {
  const all = places();

  it('is asked of every parameter that takes text', () => {
    expect(all.length).toBeGreaterThan(20);
    expect(all.map(({ label }) => label)).toEqual(
      expect.arrayContaining(['disks/disk file', 'boot/boot append', 'smbios/system serial', 'network/user hostname']),
    );
  });

  it.each(all.filter(({ spec }) => spec.type !== 'path'))('$label', ({ write, name, spec }) => {
    let arrived = 0;
    const harmless = takenBy(spec, HARMLESS);
    fc.assert(
      fc.property(hostileText(), (hostile) => {
        fc.pre(!SPECIAL.test(hostile));
        if (arrives({ write, name, harmless, hostile })) arrived++;
      }),
      { numRuns: 150 },
    );
    if (spec.type === 'string' && !isBounded(spec)) expect(arrived).toBeGreaterThan(100);
  });

  it.each(all.filter(({ spec }) => spec.type === 'path' && !isBounded(spec)))('$label', ({ label, write, name }) => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        // The start of a path says whether it is a device, and the end what format it has.
        const hostile = `/x${text}/disk.raw`;
        const path = posix.resolve(hostile);
        expect(arrives({ write, name, harmless: HARMLESS_PATH, hostile, arrives: path })).toBe(
          // swtpm splits its options at commas and knows no escape.
          !label.startsWith('tpm/swtpm ') || !path.includes(','),
        );
      }),
      { numRuns: 150 },
    );
  });

  const set = (target: string, key: string) => (yaml: string) =>
    `${UUID}disks:\n  disk0: /x/y.raw\nnetwork: user\nsmbios:\n  serial: x\nqemu:\n  set:\n    "${target}":\n      ${key}: ${yaml}\n`;
  it.each<[string, (yaml: string) => string, string]>([
    ['qemu.set of a device', set('device:disk0-device', 'serial'), 'qemu.set.device:disk0-device.serial'],
    ['qemu.set of a new property', set('netdev:net0', 'x-new'), 'qemu.set.netdev:net0.x-new'],
    ['qemu.set of key=value', set('smbios', 'serial'), 'qemu.set.smbios.serial'],
    ['qemu.set of the machine', set('machine', 'x-new'), 'qemu.set.machine.x-new'],
    ['an inner property by qemu.set', set('blockdev:disk0', 'file: { x-new'), 'qemu.set.blockdev:disk0'],
    ['a variable', (yaml) => `${UUID}smbios:\n  serial: "\${vars.x}"\nvars:\n  x: ${yaml}\n`, 'vars.x'],
    [
      'a variable within text',
      (yaml) => `${UUID}boot: { kernel: /k, append: "a\${vars.x}b" }\nvars:\n  x: ${yaml}\n`,
      'vars.x',
    ],
  ])('%s', (label, write, name) => {
    const whole = label.startsWith('an inner') ? (yaml: string) => `${write(yaml).trimEnd()} }\n` : write;
    fc.assert(
      fc.property(hostileText(), (hostile) => {
        // `on` and `off` are switches there, as everywhere in QEMU.
        fc.pre(!/^(on|off)$/.test(hostile));
        // Variables are text without references.
        fc.pre(!label.startsWith('a variable') || !hostile.includes('${'));
        expect(arrives({ write: whole, name, harmless: HARMLESS, hostile })).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  it('a word of qemu.args', () => {
    fc.assert(
      fc.property(hostileText(), (word) => {
        const outcome = planOf(`${UUID}qemu:\n  args: ["-fw_cfg", ${inYaml(word)}]\n`);
        if ('faults' in outcome) throw new Error(outcome.faults[0]?.message);
        expect(outcome.plan.qemu.argv.slice(-2)).toEqual(['-fw_cfg', word]);
      }),
    );
  });

  it('a description, which QEMU is not told', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        const outcome = planOf(`${UUID}description: ${inYaml(text)}\n`);
        if ('faults' in outcome) throw new Error(outcome.faults[0]?.message);
        expect(outcome.plan.vm.description).toBe(text);
        expect(understood(outcome.plan)).toEqual(understood((planOf(UUID) as { plan: Plan }).plan));
      }),
    );
  });

  it('the name of the VM, which is plain or refused', () => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        const outcome = planOf(`${UUID}name: ${inYaml(text)}\n`);
        if ('plan' in outcome) expect(text).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
        else
          expect(outcome.faults).toEqual([
            expect.objectContaining({
              message: expect.stringContaining('name'),
              origin: { file: 'vm.yaml', line: 2, column: 7 },
            }),
          ]);
      }),
    );
  });

  // -cpu is the one option that has no escape for a comma.
  it.each(['flags', 'hyperv'])('an item of cpu.%s, which is one feature or refused', (key) => {
    fc.assert(
      fc.property(hostileText(), (text) => {
        const outcome = planOf(`${UUID}machine: { accel: kvm }\ncpu:\n  ${key}: [${inYaml(text)}]\n`);
        if ('plan' in outcome) {
          const argv = renderOptions(
            outcome.plan.qemu.options,
            'json',
            LAPTOP.qemu?.version ?? { major: 10, minor: 0, micro: 0 },
          );
          expect(argv[argv.indexOf('-cpu') + 1]?.split(',')).toHaveLength(2);
        } else
          expect(outcome.faults).toEqual([
            expect.objectContaining({
              message: expect.stringContaining('cpu'),
              origin: expect.objectContaining({ file: 'vm.yaml' }),
            }),
          ]);
      }),
    );
  });
});

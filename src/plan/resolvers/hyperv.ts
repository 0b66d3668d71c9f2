import { suggestion } from '../../catalog/params.ts';
import { compareVersions, parseVersion } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, saidAt } from '../device.ts';

interface Enlightenment {
  /** Others without which QEMU does not start. */
  readonly wants?: readonly string[];
  /** The QEMU that brought it, where that is newer than the oldest that ezvm knows (6.2). */
  readonly since?: string;
  /** What it is set to, where that is not on or off. */
  readonly value?: (text: string) => boolean;
}

const isNumber = (text: string): boolean => /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text);

/** docs/system/i386/hyperv.rst, and what target/i386/kvm/kvm.c checks at the start. */
const ENLIGHTENMENTS: { readonly [name: string]: Enlightenment } = {
  relaxed: {},
  vapic: {},
  // Attempts before the guest tells that it waits; QEMU takes none below 0xfff.
  spinlocks: { value: (text) => isNumber(text) && Number(text) >= 0xfff },
  vpindex: {},
  runtime: {},
  crash: {},
  time: {},
  synic: { wants: ['vpindex'] },
  stimer: { wants: ['synic', 'time'] },
  'stimer-direct': { wants: ['stimer'] },
  frequencies: {},
  reenlightenment: {},
  reset: {},
  ipi: { wants: ['vpindex'] },
  tlbflush: { wants: ['vpindex'] },
  'tlbflush-ext': { wants: ['tlbflush'], since: '7.1' },
  'tlbflush-direct': { wants: ['vapic'], since: '7.1' },
  evmcs: { wants: ['vapic'] },
  'emsr-bitmap': { wants: ['evmcs'], since: '7.1' },
  'xmm-input': { since: '7.1' },
  avic: {},
  apicv: {},
  syndbg: { wants: ['synic', 'relaxed'], since: '7.1' },
  passthrough: {},
  'enforce-cpuid': {},
  'no-nonarch-coresharing': { value: (text) => /^(on|off|auto)$/.test(text) },
  'version-id-build': { value: isNumber },
  'version-id-major': { value: isNumber },
  'version-id-minor': { value: isNumber },
  'version-id-spack': { value: isNumber },
  'version-id-sbranch': { value: isNumber },
  'version-id-snumber': { value: isNumber },
};

/** Those of `cpu.hyperv` that this QEMU has; refuses words that are none, and those that QEMU does not start with. */
export function checkEnlightenments(device: PlannedDevice, { version, note, refuse }: PlanContext): string[] {
  const words = param<readonly string[]>(device, 'hyperv') ?? [];
  const origin = saidAt(device, 'hyperv');
  const fault = (message: string, help: string): void =>
    refuse({ code: 'value-wrong', message: `cpu.hyperv: ${message}`, help, origin });
  const names = words.map((word) => word.replace(/=.*/s, ''));
  const isOn = words.flatMap((word, index) => (word.endsWith('=off') ? [] : [names[index]]));
  return words.filter((word, index) => {
    const name = names[index] ?? '';
    const found = Object.hasOwn(ENLIGHTENMENTS, name) ? ENLIGHTENMENTS[name] : undefined;
    const shown = JSON.stringify(word.slice(0, 40));
    if (!found) {
      const all = Object.keys(ENLIGHTENMENTS);
      const bare = name.replace(/^hv[-_]/, '').replaceAll('_', '-');
      fault(`there is no enlightenment ${shown}`, suggestion(bare, all) ?? `there are ${all.join(' ')}`);
      return false;
    }
    const value = word === name ? undefined : word.slice(name.length + 1);
    const isRight = found.value ? found.value(value ?? '') : value === undefined || /^(on|off)$/.test(value);
    if (!isRight) fault(`${shown} is not how it is set`, EXAMPLES[name] ?? `write \`${name}\``);
    const missing =
      isOn.includes(name) && !isOn.includes('passthrough') ? wantedBy(name).filter((one) => !isOn.includes(one)) : [];
    if (missing.length > 0)
      fault(
        `QEMU takes ${name} only with ${missing.join(', ')}`,
        `add ${missing.join(', ')} to the list, or leave ${name} out`,
      );
    const { since } = found;
    const wanted = since === undefined ? undefined : parseVersion(since);
    if (!wanted || compareVersions(version, wanted) >= 0) return isRight;
    note({
      severity: 'warning',
      code: 'qemu-too-old',
      message: `cpu.hyperv: ${word} needs QEMU ${since} or newer; left out`,
      origin,
    });
    return false;
  });
}

const EXAMPLES: { readonly [name: string]: string } = {
  spinlocks: 'write the attempts before a guest tells that it waits, 4095 at least: `spinlocks=0x1fff`',
  'no-nonarch-coresharing': 'write `no-nonarch-coresharing=auto`',
};

/** All that an enlightenment wants, and what that wants. */
function wantedBy(name: string): string[] {
  const direct = ENLIGHTENMENTS[name]?.wants ?? [];
  return [...new Set(direct.flatMap((one) => [one, ...wantedBy(one)]))];
}

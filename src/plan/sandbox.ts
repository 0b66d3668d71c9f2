import type { Origin } from '../core/origin.ts';
import type { HostFacts } from '../host/facts.ts';
import type { QemuOverrides } from '../model/spec.ts';
import type { QemuOption, QemuProps } from '../qemu/option.ts';
import type { Relaxation } from './planned-qemu.ts';

/** What QEMU's sandbox can forbid: old system calls, becoming another user, starting programs, changing priorities. */
const FORBIDDEN = ['obsolete', 'elevateprivileges', 'spawn', 'resourcecontrol'] as const;

type Need = Omit<Relaxation, 'origin'>;

/** Each finds an option that QEMU can serve only with a part of its sandbox off, and why (tried on QEMU 7.2 and 10.0). */
const NEEDS: readonly ((name: string, props: QemuProps) => Need | undefined)[] = [
  (name, { type, br }) =>
    // Even `elevateprivileges=allow` sets no-new-privileges, under which the setuid helper stays an ordinary user's.
    name === 'netdev' && type === 'bridge'
      ? { part: 'all', why: `QEMU's bridge helper, which connects to ${br}, is setuid`, by: 'setuid-helper' }
      : undefined,
  (name, { type, script, downscript }) =>
    name === 'netdev' && type === 'tap' && [script, downscript].some((one) => one !== undefined && one !== 'no')
      ? { part: 'spawn', why: `it runs ${script}`, capabilities: ['net_admin'] }
      : undefined,
  (name, { type, smb }) =>
    name === 'netdev' && type === 'user' && smb !== undefined ? { part: 'spawn', why: 'it runs smbd' } : undefined,
  (name, { type }) =>
    name === 'display' && type === 'spice-app' ? { part: 'spawn', why: 'it starts the viewer itself' } : undefined,
  (name, { type }) =>
    // By setfsuid(2), from ncurses 6.5 on, before it opens its description of the terminal.
    name === 'display' && type === 'curses'
      ? { part: 'elevateprivileges', why: 'the terminal library makes sure that it is no other user' }
      : undefined,
  (name, { driver }) =>
    name === 'audiodev' && driver === 'jack'
      ? { part: 'resourcecontrol', why: 'JACK runs its threads ahead of others' }
      : undefined,
  (name, { driver, venus }) =>
    name === 'device' && venus === true ? { part: 'spawn', why: `${driver} draws in a process of its own` } : undefined,
];

/** Options of the user's own that make QEMU another user while it runs. */
const BECOMES_ANOTHER = ['runas', 'run-with', 'chroot'];

/** The sandbox for QEMU with these options: all of it, less what they cannot work with; none where the build has none. */
export function chooseSandbox(
  options: readonly QemuOption[],
  raw: QemuOverrides['args'],
  facts: HostFacts,
): QemuOption[] {
  if (facts.qemu?.sandbox === false || raw.some(({ word }) => /^--?sandbox$/.test(word))) return [];
  const needs = findNeeds(options, raw).map(({ part }) => part);
  if (needs.includes('all')) return [{ name: 'sandbox', args: { enable: false } }];
  const parts = FORBIDDEN.map((part) => [part, needs.includes(part) ? 'allow' : 'deny']);
  return [{ name: 'sandbox', args: { enable: true, ...Object.fromEntries(parts) } }];
}

/** Which parts of the sandbox are off once all options are known, and what asked for each. */
export function findRelaxations(
  options: readonly QemuOption[],
  raw: QemuOverrides['args'],
  facts: HostFacts,
): Relaxation[] {
  if (facts.qemu?.sandbox === false) return [{ part: 'all', why: 'this QEMU was built without it' }];
  const option = options.find(({ name }) => name === 'sandbox');
  if (typeof option?.args !== 'object')
    return [{ part: 'all', why: 'qemu.args says how it is', origin: option?.origin }];
  const { args, origin } = option;
  const needs = findNeeds(options, raw);
  const why = (part: Relaxation['part']): Relaxation =>
    needs.find((need) => need.part === part) ?? { part, why: 'qemu.set says so', origin };
  if (args['enable'] !== true) return [why('all')];
  return FORBIDDEN.filter((part) => args[part] !== 'deny').map(why);
}

function findNeeds(options: readonly QemuOption[], raw: QemuOverrides['args']): Relaxation[] {
  const found = options.flatMap(({ name, args, origin }) =>
    typeof args !== 'object' ? [] : NEEDS.flatMap((need) => withOrigin(need(name, args), origin)),
  );
  const becoming = raw.filter(({ word }) => BECOMES_ANOTHER.includes(word.replace(/^--?/, '')));
  return [
    ...found,
    ...becoming.map(
      ({ word, origin }): Relaxation => ({
        part: 'elevateprivileges',
        why: `${word} needs it`,
        capabilities: ['setuid', 'setgid', 'sys_chroot'],
        origin,
      }),
    ),
  ];
}

function withOrigin(need: Need | undefined, origin: Origin | undefined): Relaxation[] {
  return need ? [{ ...need, origin }] : [];
}

import { wordOf } from '../catalog/names.ts';
import type { LetTable, ProgramEntry, SidecarEntry, When } from '../catalog/template.ts';
import { formatSize } from '../core/size.ts';
import type { QemuOption, QemuProps, QemuValue } from '../qemu/option.ts';
import { boardHas } from './board-gate.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from './device.ts';
import { drawsWithGl, hasGl } from './gl.ts';
import type { Claim, Sidecar } from './plan.ts';
import { judgeNeeds } from './version-gate.ts';

type Value = QemuValue | null;

/** Everything that `${…}` in a device template may name. */
export type Names = { readonly [name: string]: Value };

/** What the names stand for, of one device. */
export function namesOf(device: PlannedDevice, resolved: Resolved, context: PlanContext): Names {
  const names: Record<string, Value> = {
    id: device.id,
    index: device.index ?? null,
    'vm.name': context.spec.name,
    'vm.uuid': context.spec.uuid,
    'vm.run': context.runDir,
    'vm.state': context.stateDir,
    'vm.shared-memory': context.spec.devices.some(({ template }) => template['shared-memory']),
    'vm.accel': context.accel,
    'vm.gl': drawsWithGl(context),
    'host.gl': hasGl(context),
    'board.*': context.board === undefined,
    'boot-index': bootIndex(device, context),
    'slot.bus': device.slot?.bus ?? null,
    'slot.addr': device.slot?.addr ?? null,
    'slot.number': numberIn(device.slot?.addr),
    'slot.channel': device.slot?.addr.split('.')[0] ?? null,
    'slot.unit': numberIn(device.slot?.addr.split('.')[1]),
  };
  for (const [name, { value }] of Object.entries(device.params)) {
    names[name] = value as Value;
    const { type = '' } = device.template.params[name] ?? {};
    if (TEXT_OF[type]) names[`${name}.text`] = typeof value === 'number' ? TEXT_OF[type](value) : null;
    if (type === 'path') names[`${name}.protocol`] = typeof value === 'string' ? protocolOf(value, context) : null;
  }
  for (const { section } of context.spec.devices) names[`section.${section}`] = true;
  for (const feature of context.board?.has ?? []) names[`board.${feature}`] = true;
  for (const [name, table] of Object.entries(device.template.lets)) names[name] = lookUpTable(table, names, device);
  for (const [name, value] of Object.entries(resolved.values ?? {})) names[`resolved.${name}`] = value;
  return names;
}

/** How numbers are written where QEMU wants text. */
const TEXT_OF: { readonly [type: string]: (value: number) => string } = { size: formatSize, int: String, port: String };

/** A value that is not listed counts as `set`; several parameters are `set` when one of them is. */
function lookUpTable({ by, values }: LetTable, names: Names, device: PlannedDevice): Value {
  const given = [by].flat().map((name) => lookAt(name, names));
  const word = typeof by === 'string' ? wordOf(given[0] ?? null) : '';
  const presence = given.some((value) => value !== null) ? 'set' : 'unset';
  const found = (Object.hasOwn(values, word) ? values[word] : values[presence]) ?? null;
  return typeof found === 'string' ? substituteText(found, names, device) : found;
}

/** Where no device says, disks boot in their order; from 1, because a kernel given with `boot.kernel` takes 0. */
function bootIndex(device: PlannedDevice, { spec }: PlanContext): number | null {
  const own = param<number>(device, 'boot');
  if (own !== null) return own;
  const anyone = spec.devices.some((other) => (other.params['boot']?.value ?? null) !== null);
  const disks = spec.devices.filter((other) => other.section === 'disks');
  const position = disks.findIndex((other) => other.id === device.id);
  return anyone || position < 0 ? null : position + 1;
}

/**
 * QEMU's driver for what is at a path. A link may lead to a device from anywhere, and /dev/shm holds files; only where
 * nobody looked does the name decide.
 */
export function protocolOf(path: string, { facts }: PlanContext): 'file' | 'host_device' {
  const kind = facts.paths[path]?.kind ?? 'missing';
  const isDevice =
    kind === 'missing' || kind === 'denied' ? path.startsWith('/dev/') : kind === 'block' || kind === 'character';
  return isDevice ? 'host_device' : 'file';
}

/** Where an address is a plain number, as that: QEMU's JSON syntax tells numbers from text. */
function numberIn(addr: string | undefined): number | null {
  return addr !== undefined && /^\d+$/.test(addr) ? Number(addr) : null;
}

/** What a table or a condition asks for; a feature that the board does not list is off, and so is a section left empty. */
function lookAt(name: string, names: Names): Value {
  if (name.startsWith('section.')) return names[name] ?? false;
  return names[name] ?? (name.startsWith('board.') ? (names['board.*'] ?? false) : null);
}

/** Whether every condition on a device's parameters holds. */
export function holds(when: When | undefined, names: Names): boolean {
  return Object.entries(when ?? {}).every(([name, wanted]) => {
    const value = lookAt(name, names);
    if (wanted === 'set') return value !== null;
    if (wanted === 'unset') return value === null;
    return (Array.isArray(wanted) ? wanted : [wanted]).some((one) => wordOf(one) === wordOf(value));
  });
}

/** The options a device's template emits. */
export function emitOptions(device: PlannedDevice, names: Names, context: PlanContext): QemuOption[] {
  return device.template.emit.flatMap((entry) => {
    if (!holds(entry.when, names)) return [];
    if (!boardHas(entry.needs, device, context, `-${entry.option}`)) return [];
    if (judgeNeeds(entry.needs, device, context, `-${entry.option}`) === 'omitted') return [];
    const args = entry.args === null || entry.args === true ? true : substitute(entry.args, names, device);
    return args === null
      ? []
      : [{ name: entry.option, args: args as QemuProps | string | true, origin: device.origin ?? entry.origin }];
  });
}

/** Replaces references; a null property is dropped, and a map left empty by that too. */
function substitute(value: unknown, names: Names, device: PlannedDevice): Value {
  if (typeof value === 'string') return substituteText(value, names, device);
  if (Array.isArray(value)) return value.map((item) => substitute(item, names, device)).filter((item) => item !== null);
  if (typeof value !== 'object' || value === null) return value as Value;
  const props = Object.entries(value)
    .map(([key, inner]) => [key, substitute(inner, names, device)] as const)
    .filter((pair): pair is readonly [string, QemuValue] => pair[1] !== null);
  return props.length === 0 && Object.keys(value).length > 0 ? null : Object.fromEntries(props);
}

/** Replaces references in a template's text; a text that is one reference keeps the type of what it names. */
export function substituteText(text: string, names: Names, device: PlannedDevice): Value {
  const whole = /^\$\{([^}]+)\}$/.exec(text);
  if (whole) {
    const value = lookUp(whole[1] ?? '', names, device);
    // An empty list says nothing, and QEMU's older parsers stumble over it.
    return Array.isArray(value) && value.length === 0 ? null : value;
  }
  return text.replace(/\$\{([^}]+)\}/g, (_, name: string) => String(lookUp(name, names, device) ?? ''));
}

/** `lint` has seen to it that the names exist, so a miss is a bug of ours. */
function lookUp(name: string, names: Names, device: PlannedDevice): Value {
  const value = names[name];
  if (value === undefined) throw new Error(`${device.template.file}: \${${name}} names nothing`);
  return value;
}

/** The programs a device's template asks for. */
export function emitSidecars(device: PlannedDevice, names: Names, context: PlanContext): Sidecar[] {
  return device.template.sidecars
    .filter((entry) => holds(entry.when, names))
    .flatMap((entry) => emitSidecar(entry, device, names, context));
}

/** What a device's template leaves to do inside the guest. */
export function guestTexts(device: PlannedDevice, names: Names): string[] {
  return device.template.guest
    .filter((entry) => typeof entry === 'string' || holds(entry.when, names))
    .map((entry) => String(substituteText(typeof entry === 'string' ? entry : entry.text, names, device)));
}

const MOMENTS: { readonly [start: string]: Sidecar['when'] } = {
  'before-qemu': 'before',
  'after-qemu': 'after',
  'when-asked': 'asked',
};

function emitSidecar(entry: SidecarEntry, device: PlannedDevice, names: Names, context: PlanContext): Sidecar[] {
  const text = (value: string): string => String(substituteText(value, names, device) ?? '');
  const able = entry.programs.flatMap((program) => {
    const argv = wordsOf(program, device, names);
    return argv ? [{ argv, package: program.package ?? argv[0] }] : [];
  });
  const chosen = able.find(({ argv: [program = ''] }) => context.facts.programs[program]) ?? able[0];
  if (!chosen) {
    context.refuse({
      code: 'sidecar-refused',
      message: `no ${entry.name} can do all that ${device.id} asks for`,
      help:
        entry.unable ??
        `each of its settings is known to some program only; see: templates/devices/${device.section}/${device.template.type}.yaml`,
      origin: device.origin,
    });
    return [];
  }
  const [program = '', ...rest] = chosen.argv;
  const path = context.facts.programs[program];
  const when = MOMENTS[text(entry.start)] ?? 'after';
  const packages = [...new Set(able.map((one) => one.package))].join(' or ');
  const view = `ezvm view ${context.spec.name}`;
  const help = `install the package ${packages}${when === 'before' ? '' : `, then: ${view}`}`;
  if (when !== 'asked')
    context.require({
      kind: 'program',
      program,
      ...(path !== undefined && { path }),
      ...(when === 'after' && { optional: true }),
      help,
      origin: device.origin,
    });
  if (when === 'after')
    context.require({
      kind: 'session',
      wants: 'screen',
      by: entry.name,
      optional: true,
      help: `from a terminal on your desktop: ${view}`,
      origin: device.origin,
    });
  const { connects } = entry;
  const socket = text(connects?.socket ?? '');
  const sidecar: Sidecar = {
    name: text(entry.name),
    argv: [path ?? program, ...rest],
    when,
    help,
    ...(entry.ready && { ready: { socket: text(entry.ready.socket), timeout: entry.ready.timeout ?? 10 } }),
    ...(connects && {
      needs: socket !== '' ? { socket } : { host: text(connects.host ?? ''), port: Number(text(connects.port ?? '')) },
    }),
    ...(text(entry['on-close'] ?? '') === 'stop' && { onClose: 'stop' }),
    ...(entry.capabilities && { capabilities: entry.capabilities }),
    ...(text(String(entry.reconnects ?? '')) === 'true' && { reconnects: true }),
    ...(entry.claims && { claims: entry.claims.map((claim) => claimOf(text(claim), device)) }),
    ...(entry.chatter && { chatter: entry.chatter }),
    ...(entry.complaints && {
      complaints: entry.complaints.map(({ says, key, message, help }) => ({
        says,
        message: text(message),
        ...(help !== undefined && { help: text(help) }),
        origin: saidAt(device, key),
      })),
    }),
    origin: device.origin,
  };
  return [sidecar];
}

function claimOf(path: string, { params, origin }: PlannedDevice): Claim {
  return { path, origin: Object.values(params).find(({ value }) => value === path)?.origin ?? origin };
}

/** The argv of a program, a list standing for its items; undefined when its condition does not hold or a word is null. */
function wordsOf({ when, argv }: ProgramEntry, device: PlannedDevice, names: Names): string[] | undefined {
  if (!holds(when, names)) return undefined;
  const words = argv
    .flatMap((item) => (typeof item === 'string' ? [item] : holds(item.when, names) ? item.args : []))
    .flatMap((word) => substituteText(word, names, device));
  return words.includes(null) ? undefined : words.map(String);
}

import { isRecord } from '../core/json.ts';
import type { QemuVersion } from '../qemu/option.ts';
import type { QapiEntity, QemuFacts, QemuSchema } from './facts.ts';

/** A question that QEMU answered: a QMP command, or a command line such as `-display help` whose answer is its output. */
export interface Answered {
  readonly execute: string;
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
  readonly answer: unknown;
}

/** Before 8.0 QEMU did not list its sound drivers anywhere; these are all a build for Linux could have. */
const AUDIODEVS_BEFORE_8 = ['none', 'alsa', 'dbus', 'jack', 'oss', 'pa', 'sdl', 'sndio', 'spice', 'wav'];

/** QOM types of a recording without the list of devices that are certainly none. */
const NO_DEVICE = /-(machine|accel|accel-ops)$/;

/** CPUs are given by `-cpu`, and a hundred of them with four hundred properties each would be most of every list. */
const CPU_TYPE = /-cpu$/;

/** Devices with their other half in a module that may not be installed: QEMU lists them, and aborts when asked to make one. */
const OTHER_HALF: Readonly<Record<string, string>> = {
  'virtio-gpu-pci': 'virtio-gpu-device',
  'virtio-vga': 'virtio-gpu-device',
  'virtio-gpu-gl-pci': 'virtio-gpu-gl-device',
  'virtio-vga-gl': 'virtio-gpu-gl-device',
};

/**
 * What a QEMU can do, from its answers.
 * @returns undefined when it did not even tell its version
 */
export function factsFromAnswers(answers: readonly Answered[], binary: string): QemuFacts | undefined {
  const version = versionOf(answers);
  if (!version) return undefined;
  const machines: Record<string, string> = {};
  const maxCpus: Record<string, number> = {};
  for (const machine of records(answerTo(answers, 'query-machines'))) {
    const name = String(machine['name']);
    machines[name] = name;
    if (typeof machine['cpu-max'] === 'number') maxCpus[name] = machine['cpu-max'];
    if (typeof machine['alias'] === 'string') machines[machine['alias']] = name;
  }
  const target = answerTo(answers, 'query-target');
  return {
    binary,
    version: version.version,
    package: version.package,
    arch: isRecord(target) ? String(target['arch']) : 'x86_64',
    machines: Object.fromEntries(Object.entries(machines).toSorted()),
    maxCpus: Object.fromEntries(Object.entries(maxCpus).toSorted()),
    devices: devicesOf(answers),
    objects: objectsOf(answers),
    cpuModels: namesOf(answerTo(answers, 'query-cpu-definitions')).toSorted(),
    netdevs: helpOf(answers, '-netdev help') ?? without(enumOf(answers, 'netdev_add', 'type'), 'none', 'nic'),
    audiodevs: helpOf(answers, '-audiodev help') ?? enumOf(answers, 'query-audiodevs', 'driver') ?? AUDIODEVS_BEFORE_8,
    displays: helpOf(answers, '-display help') ?? without(enumOf(answers, 'query-display-options', 'type'), 'default'),
    tpmTypes: strings(answerTo(answers, 'query-tpm-types')),
    spice: 'spice' in optionsOf(answers),
    sandbox: 'sandbox' in optionsOf(answers),
  };
}

/**
 * QEMU's own words on its syntax, from its answers.
 * @returns undefined when it did not even tell its version
 */
export function schemaFromAnswers(answers: readonly Answered[]): QemuSchema | undefined {
  const version = versionOf(answers);
  if (!version) return undefined;
  const properties: Record<string, Record<string, string>> = {};
  for (const { execute, arguments: given, answer } of answers) {
    if (execute !== 'device-list-properties' && execute !== 'qom-list-properties') continue;
    const type = String(given?.['typename']);
    if (CPU_TYPE.test(type) && !type.startsWith('max-')) continue;
    properties[type] = Object.fromEntries(records(answer).map((one) => [String(one['name']), String(one['type'])]));
  }
  return {
    version: version.version,
    qapi: entitiesOf(answers),
    devices: devicesOf(answers),
    properties,
    options: optionsOf(answers),
  };
}

function versionOf(answers: readonly Answered[]): { version: QemuVersion; package: string } | undefined {
  const answer = answerTo(answers, 'query-version');
  const qemu = isRecord(answer) ? answer['qemu'] : undefined;
  if (!isRecord(answer) || !isRecord(qemu)) return undefined;
  const [major, minor, micro] = [qemu['major'], qemu['minor'], qemu['micro']];
  if (typeof major !== 'number' || typeof minor !== 'number' || typeof micro !== 'number') return undefined;
  return { version: { major, minor, micro }, package: String(answer['package'] ?? '') };
}

function devicesOf(answers: readonly Answered[]): readonly string[] {
  const types = new Set(namesOf(allTypes(answers)));
  const told = answers.find(
    ({ execute, arguments: given }) => execute === 'qom-list-types' && given?.['implements'] === 'device',
  );
  const objects = new Set(told ? [] : objectsOf(answers));
  return (told ? namesOf(told.answer) : [...types])
    .filter((name) => !CPU_TYPE.test(name) && !NO_DEVICE.test(name) && !objects.has(name))
    .filter((name) => types.has(OTHER_HALF[name] ?? name))
    .toSorted();
}

function objectsOf(answers: readonly Answered[]): readonly string[] {
  const told = answers.find(
    ({ execute, arguments: given }) => execute === 'qom-list-types' && given?.['implements'] === 'user-creatable',
  );
  if (told) return namesOf(told.answer).toSorted();
  const types = new Set(namesOf(allTypes(answers)));
  return (enumOf(answers, 'object-add', 'qom-type') ?? []).filter((name) => types.has(name)).toSorted();
}

/** The longest list of types, which is the one asked for without a filter. */
function allTypes(answers: readonly Answered[]): unknown {
  const lists = answers.filter(({ execute }) => execute === 'qom-list-types').map(({ answer }) => records(answer));
  return lists.toSorted((a, b) => b.length - a.length)[0];
}

function optionsOf(answers: readonly Answered[]): Record<string, readonly string[]> {
  return Object.fromEntries(
    records(answerTo(answers, 'query-command-line-options')).map(({ option, parameters }) => [
      String(option),
      [...new Set(namesOf(parameters))],
    ]),
  );
}

/** The values of an enumeration that is a member of what a command takes, or gives when it takes nothing. */
function enumOf(answers: readonly Answered[], command: string, member: string): readonly string[] | undefined {
  const entities = new Map(entitiesOf(answers).map((entity) => [entity.name, entity]));
  const entry = entities.get(command);
  const takes = entities.get(entry?.['arg-type'] ?? '');
  const gives = entities.get(entry?.['ret-type'] ?? '');
  const object = takes?.members?.length ? takes : (entities.get(gives?.['element-type'] ?? '') ?? gives);
  const type = object?.members?.find(({ name }) => name === member)?.type;
  const found = entities.get(type ?? '');
  return found?.values ?? found?.members?.map(({ name }) => String(name));
}

/**
 * The words of a help text. They are truer than the schema, which goes on listing what was left out of the build (before
 * 7.2) and what lives in a module that is not installed.
 */
function helpOf(answers: readonly Answered[], option: string): readonly string[] | undefined {
  const text = answerTo(answers, option);
  if (typeof text !== 'string') return undefined;
  const words = text.split('\n').map((line) => line.trim());
  const found = words.filter((line) => /^[a-z0-9][a-z0-9-]*$/.test(line));
  return found.length > 0 ? found : undefined;
}

function entitiesOf(answers: readonly Answered[]): readonly QapiEntity[] {
  return records(answerTo(answers, 'query-qmp-schema')) as readonly unknown[] as readonly QapiEntity[];
}

function answerTo(answers: readonly Answered[], execute: string): unknown {
  return answers.find((one) => one.execute === execute)?.answer;
}

function namesOf(answer: unknown): string[] {
  return records(answer).map(({ name }) => String(name));
}

function without(words: readonly string[] | undefined, ...dropped: readonly string[]): readonly string[] {
  return (words ?? []).filter((word) => !dropped.includes(word));
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

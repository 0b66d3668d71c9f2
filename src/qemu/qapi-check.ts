import { isRecord } from '../core/json.ts';
import { nearest } from '../core/nearest.ts';
import type { QapiEntity, QapiMember, QemuSchema } from './qapi.ts';

/** QEMU's types by name. */
export type QapiIndex = ReadonlyMap<string, QapiEntity>;

/** One thing that QEMU would refuse, told so that "QEMU 7.2.22's -netdev user" can stand in front. */
export interface Fault {
  readonly code: 'qemu-member-unknown' | 'qemu-member-missing' | 'qemu-value-invalid';
  readonly says: string;
}

/** How a value was written: as JSON, where types count, or as key=value, where everything is text. */
export type Spelling = 'json' | 'text';

const JSON_TYPE: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  null: 'null',
  object: 'a map',
  array: 'a list',
};

/** QEMU's types, ready to be looked up. */
export function indexQapi(schema: QemuSchema): QapiIndex {
  return new Map(schema.qapi.map((entity) => [entity.name, entity]));
}

/** The type of what a command takes; undefined where QEMU has no such command. */
export function argumentsOf(index: QapiIndex, command: string): string | undefined {
  return index.get(command)?.['arg-type'];
}

/** The type of what a command gives, or of one item where it gives a list. */
export function answerOf(index: QapiIndex, command: string): string | undefined {
  const type = index.get(command)?.['ret-type'];
  return index.get(type ?? '')?.['element-type'] ?? type;
}

/** The values of an enumeration; undefined for any other type. */
export function valuesOf(index: QapiIndex, type: string | undefined): readonly string[] | undefined {
  const entity = index.get(type ?? '');
  if (entity?.['meta-type'] !== 'enum') return undefined;
  return entity.values ?? entity.members?.flatMap(({ name }) => name ?? []) ?? [];
}

/** Everything in `value` that the type called `type` does not allow. `path` leads to it, and is empty at the top. */
export function checkValue(
  index: QapiIndex,
  type: string,
  value: unknown,
  spelling: Spelling,
  path = '',
): readonly Fault[] {
  const entity = index.get(type);
  switch (entity?.['meta-type']) {
    case 'builtin':
      return isBuiltin(entity['json-type'], value, spelling) ? [] : [wrongType(path, entity['json-type'], value)];
    case 'enum': {
      const known = valuesOf(index, type) ?? [];
      const word = spelling === 'text' && typeof value === 'boolean' ? (value ? 'on' : 'off') : value;
      return known.some((one) => one === word) ? [] : [unknownValue(path, value, known)];
    }
    case 'array': {
      const element = entity['element-type'];
      if (!Array.isArray(value)) return spelling === 'text' ? [] : [wrongType(path, 'array', value)];
      return value.flatMap((item, n) => checkValue(index, element ?? '', item, spelling, `${path}[${n}]`));
    }
    case 'alternate':
      return checkAlternate(index, entity, value, spelling, path);
    case 'object':
      return checkObject(index, entity, value, spelling, path);
    default:
      // A kind that this QEMU's schema has and ezvm does not know.
      return [];
  }
}

/** Tells the faults of the branch that has the value's shape; that is the one that was meant. */
function checkAlternate(
  index: QapiIndex,
  entity: QapiEntity,
  value: unknown,
  spelling: Spelling,
  path: string,
): readonly Fault[] {
  const branches = (entity.members ?? []).map(({ type = '' }) => ({
    isObject: index.get(type)?.['meta-type'] === 'object',
    faults: checkValue(index, type, value, spelling, path),
  }));
  if (branches.some(({ faults }) => faults.length === 0)) return [];
  return branches.find(({ isObject }) => isObject === isRecord(value))?.faults ?? [];
}

function checkObject(
  index: QapiIndex,
  entity: QapiEntity,
  value: unknown,
  spelling: Spelling,
  path: string,
): readonly Fault[] {
  if (!isRecord(value)) return [wrongType(path, 'object', value)];
  const members = new Map<string, QapiMember>();
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  // Each tag adds the members of its branch, and a branch can have a tag of its own.
  for (let part: QapiEntity | undefined = entity; part; ) {
    for (const member of part.members ?? []) if (member.name !== undefined) members.set(member.name, member);
    if (part.tag === undefined) break;
    const tag = value[part.tag];
    const wrong: readonly Fault[] =
      tag === undefined
        ? [{ code: 'qemu-member-missing', says: `needs "${at(part.tag)}"` }]
        : checkValue(index, members.get(part.tag)?.type ?? '', tag, spelling, at(part.tag));
    // Without its tag nothing is known about the rest.
    if (wrong.length > 0) return wrong;
    part = index.get(part.variants?.find((variant) => variant.case === tag)?.type ?? '');
  }
  const misspelt: string[] = [];
  const faults = Object.entries(value).flatMap(([name, inner]): readonly Fault[] => {
    const type = members.get(name)?.type;
    if (type !== undefined) return checkValue(index, type, inner, spelling, at(name));
    misspelt.push(guess(name, [...members.keys()]) ?? '');
    return [unknownMember(at(name), [...members.keys()].map(at))];
  });
  // What was only misspelt is not missing too.
  const missing = [...members.values()].flatMap(({ name = '', ...member }) =>
    'default' in member || name in value || misspelt.includes(name) ? [] : [name],
  );
  return [...faults, ...missing.map((name): Fault => ({ code: 'qemu-member-missing', says: `needs "${at(name)}"` }))];
}

function isBuiltin(jsonType: string | undefined, value: unknown, spelling: Spelling): boolean {
  if (spelling === 'text' && typeof value === 'string') return true;
  switch (jsonType) {
    case 'string':
      return typeof value === 'string' || (spelling === 'text' && typeof value === 'number');
    case 'boolean':
      return typeof value === 'boolean';
    case 'int':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'null':
      return value === null;
    default:
      return true;
  }
}

/** `has no "x"`, with the known name it was probably meant to be. */
export function unknownMember(name: string, known: readonly string[]): Fault {
  return { code: 'qemu-member-unknown', says: `has no "${name}"${suggest(name, known)}` };
}

function unknownValue(path: string, value: unknown, known: readonly string[]): Fault {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const guess = suggest(text, known);
  const all = known.length <= 12 ? `; use ${known.join(', ')}` : '';
  return { code: 'qemu-value-invalid', says: `has no ${path || 'value'} "${text}"${guess || all}` };
}

function wrongType(path: string, jsonType: string | undefined, value: unknown): Fault {
  const wanted = JSON_TYPE[jsonType ?? ''] ?? jsonType;
  return { code: 'qemu-value-invalid', says: `wants ${wanted} for "${path}", not ${JSON.stringify(value)}` };
}

/** `; did you mean "…"?`, or nothing. */
export function suggest(word: string, known: readonly string[]): string {
  const meant = guess(word, known);
  return meant === undefined ? '' : `; did you mean "${meant}"?`;
}

/** The known word that was probably meant; one that has just a part more, as `num-queues` has for `queus`, counts. */
function guess(word: string, known: readonly string[]): string | undefined {
  const longer = known.find((name) => name.startsWith(`${word}-`) || name.endsWith(`-${word}`));
  const tails = new Map(known.map((name) => [name.slice(name.search(/[-_.]/) + 1), name]));
  return longer ?? nearest(word, known) ?? tails.get(nearest(word, tails.keys()) ?? '');
}

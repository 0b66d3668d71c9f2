import type { Diagnostic } from '../core/diagnostic.ts';
import { compareVersions, formatVersion, type QemuOption, type QemuProps } from './option.ts';
import { type Checked, checkCpu, checkDevice, checkGlobal, checkMachine, type OptionFault } from './property-check.ts';
import type { QemuSchema } from './qapi.ts';
import {
  answerOf,
  argumentsOf,
  checkValue,
  indexQapi,
  type QapiIndex,
  type Spelling,
  suggest,
  unknownMember,
  valuesOf,
} from './qapi-check.ts';

/** One option and what is known of the QEMU that is to take it. */
interface Question {
  readonly name: string;
  readonly args: QemuProps;
  readonly written: Spelling;
  readonly schema: QemuSchema;
  readonly index: QapiIndex;
  /** Its program. */
  readonly binary: string;
}

/** Options whose arguments are those of a QMP command, with the key that says which kind is meant. */
const COMMANDS: Readonly<Record<string, { readonly command: string; readonly kind: string }>> = {
  blockdev: { command: 'blockdev-add', kind: 'driver' },
  netdev: { command: 'netdev_add', kind: 'type' },
  object: { command: 'object-add', kind: 'qom-type' },
};

/** Options whose arguments are what a QMP command tells afterwards. */
const ANSWERS: Readonly<Record<string, { readonly command: string; readonly kind: string }>> = {
  audiodev: { command: 'query-audiodevs', kind: 'driver' },
  display: { command: 'query-display-options', kind: 'type' },
};

/** The name that query-command-line-options has for an option, where it has another. */
const GROUP: Readonly<Record<string, string>> = { m: 'memory', smp: 'smp-opts', boot: 'boot-opts' };

/**
 * Options that query-command-line-options lists whenever QEMU has them. The list is not complete (-blockdev is not in
 * it), so that nothing follows from the absence of any other.
 */
const ALWAYS_LISTED = ['action', 'fsdev', 'run-with', 'sandbox', 'spice', 'virtfs', 'vnc'];

/**
 * Options whose parameters there are not all that QEMU takes: -drive passes the rest on to the block driver, and -machine
 * has those of every machine, or before 9.0 of none. All others refuse what is not listed (tried on 7.2).
 */
const MORE_THAN_LISTED = ['drive', 'machine'];

/** Chardev back-ends that go by another name in QAPI. */
const CHARDEV_ALIASES = ['parport', 'tty'];

/**
 * What this QEMU would refuse in `options`, each fault with the origin of its option. No fault is told on a guess.
 * @param binary the program, for commands that help
 */
export function checkOptions(
  options: readonly QemuOption[],
  schema: QemuSchema,
  binary: string,
): readonly Diagnostic[] {
  const index = indexQapi(schema);
  return options.flatMap((option) => {
    const { subject, faults } = checkOption(option, { schema, index, binary });
    return faults.map(
      ({ code, says, help }): Diagnostic => ({
        severity: 'error',
        code,
        message: `QEMU ${formatVersion(schema.version)}${subject === '' ? '' : `'s ${subject}`} ${says}`,
        origin: option.origin,
        help,
      }),
    );
  });
}

function checkOption({ name, args, asText }: QemuOption, qemu: Pick<Question, 'schema' | 'index' | 'binary'>): Checked {
  const { schema, binary } = qemu;
  if (ALWAYS_LISTED.includes(name) && !(name in schema.options))
    return {
      subject: '',
      faults: [
        {
          code: 'qemu-option-unknown',
          says: `has no -${name}`,
          help:
            name === 'spice'
              ? 'it comes with a module of QEMU; look in your distribution for a package such as qemu-system-modules-spice'
              : 'use a QEMU of another version, or one built with it',
        },
      ],
    };
  if (typeof args !== 'object') return { subject: '', faults: [] };
  const question: Question = { name, args, written: asText ? 'text' : 'json', ...qemu };
  switch (name) {
    case 'device':
      return checkDevice(args, question.written, schema, binary);
    case 'global':
      return checkGlobal(args, schema, binary);
    case 'machine':
      return checkMachine(args, schema, binary);
    case 'cpu':
      return checkCpu(args, schema, binary);
    case 'chardev':
      return checkChardev(question);
    default:
      return name in COMMANDS || name in ANSWERS ? checkByType(question) : checkListed(question);
  }
}

function checkByType({ name, args, written, schema, index }: Question): Checked {
  const command = COMMANDS[name];
  const answer = ANSWERS[name];
  const type = command ? argumentsOf(index, command.command) : answerOf(index, answer?.command ?? '');
  const kind = args[(command ?? answer)?.kind ?? ''];
  const subject = typeof kind === 'string' ? `-${name} ${kind}` : `-${name}`;
  // -audiodev has been in the schema since 8.0; what 7.1 did with -display is not all there.
  if (type === undefined || (name === 'display' && isBefore(schema, 7, 2))) return { subject, faults: [] };
  const faults = checkValue(index, type, args, spellingOf(name, written, schema));
  const wrongKind = faults.some(({ says }) => says.startsWith(`has no ${(command ?? answer)?.kind} "`));
  return { subject: wrongKind ? `-${name}` : subject, faults };
}

/** -display is always key=value, and -netdev was before it learned JSON. */
function spellingOf(name: string, written: Spelling, schema: QemuSchema): Spelling {
  return name === 'display' || (name === 'netdev' && isBefore(schema, 7, 2)) ? 'text' : written;
}

function isBefore({ version }: QemuSchema, major: number, minor: number): boolean {
  return compareVersions(version, { major, minor, micro: 0 }) < 0;
}

/** -chardev has its own flat spelling of what chardev-add nests, the same for all back-ends. */
function checkChardev(question: Question): Checked {
  const { args, index } = question;
  const { backend } = args;
  const wrapper = index.get(argumentsOf(index, 'chardev-add') ?? '');
  const union = index.get(wrapper?.members?.find(({ name }) => name === 'backend')?.type ?? '');
  const known = valuesOf(index, union?.members?.find(({ name }) => name === union.tag)?.type);
  if (typeof backend === 'string' && known && ![...known, ...CHARDEV_ALIASES].includes(backend))
    return {
      subject: '-chardev',
      faults: [{ code: 'qemu-value-invalid', says: `has no backend "${backend}"${suggest(backend, known)}` }],
    };
  const listed = checkListed(question);
  const missing: OptionFault[] = ['backend', 'id']
    .filter((key) => !(key in args))
    .map((key) => ({ code: 'qemu-member-missing', says: `needs "${key}"` }));
  return { subject: listed.subject, faults: [...listed.faults, ...missing] };
}

function checkListed({ name, args, schema }: Question): Checked {
  const known = schema.options[GROUP[name] ?? name] ?? [];
  const subject = `-${name}`;
  // An empty list means that QEMU looks at the parameters elsewhere.
  if (known.length === 0 || MORE_THAN_LISTED.includes(name)) return { subject, faults: [] };
  const unknown = Object.keys(args).filter(
    (key) => key !== 'id' && !known.some((one) => one === key || one.startsWith(`${key}.`)),
  );
  return {
    subject,
    faults: unknown.map((key) => ({ ...unknownMember(key, known), code: 'qemu-parameter-unknown' })),
  };
}

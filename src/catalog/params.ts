import { nearest } from '../core/nearest.ts';
import { parseSize } from '../core/size.ts';
import type { Position, ScalarNode, SourceNode } from '../core/source.ts';
import { expected, listOf } from './expected.ts';
import { LINK_KINDS, type LinkKind, type ParamSpec, type ParamType, type Slips } from './template.ts';

/** A parameter after checking: sizes in bytes, paths absolute, switches as booleans, null for unset. */
export type ParamValue = string | number | boolean | null | WrappedString | WideInteger | readonly ParamValue[];

/** A whole number too large for JavaScript, as hexadecimal text. */
export interface WideInteger {
  readonly u64: string;
}

/** QAPI's `String`, in which it wraps the items of repeated options such as `hostfwd`. */
export interface WrappedString {
  readonly str: string;
}

/** What is wrong with one value. */
export interface ParamFault {
  readonly at: Position;
  /** Continues "section.key is …". */
  readonly message: string;
  readonly help?: string | undefined;
}

/** What a value is checked with. */
export interface ParamContext {
  /** Makes a path absolute: `~/` and what is relative to the file that says it. */
  readonly resolvePath: (path: string) => string;
}

type Checked = { readonly value: ParamValue } | { readonly message: string; readonly help?: string | undefined };

/** Whether it is the name of a network interface that a parameter wants, and no path. */
export function isLinkKind(expect: NonNullable<ParamSpec['expect']>): expect is LinkKind {
  return LINK_KINDS.some((kind) => kind === expect);
}

/** Checks one value against its specification. */
export function checkParam(
  spec: ParamSpec,
  node: SourceNode,
  context: ParamContext,
): { value: ParamValue } | { faults: ParamFault[] } {
  if (node.kind === 'scalar' && node.value === null) return { value: null };
  if (spec.type === 'list') return checkList(spec, node, context);
  if (node.kind !== 'scalar')
    return { faults: [{ at: node.at, message: `a ${node.kind}; ${expected(spec)} is wanted` }] };
  const slip = spec.slips && slipIn(spec.slips, node.source ?? String(node.value));
  // Anything can be the name of a file; what looks like an address is hardly meant so.
  const checked =
    spec.type === 'path' && slip !== undefined ? wrong(node, spec) : CHECKS[spec.type](node, spec, context);
  if ('value' in checked) return checked;
  return { faults: [{ at: node.at, ...checked, ...(slip !== undefined && { help: slip }) }] };
}

/** Checks a value that a template itself gives, such as a default. */
export function checkGiven(spec: ParamSpec, value: Given): ReturnType<typeof checkParam> {
  return checkParam(spec, nodeOf(value), { resolvePath: (path) => path });
}

type Given = NonNullable<ParamSpec['default']> | null;

function nodeOf(value: Given): SourceNode {
  if (typeof value === 'object' && value !== null) return { kind: 'list', at: [1, 1], items: value.map(nodeOf) };
  return { kind: 'scalar', at: [1, 1], value };
}

/** What to write in the place of a word that is known to be written by mistake. */
export function slipIn(slips: Slips, word: string): string | undefined {
  const found = Object.entries(slips).find(([pattern]) => wholly(pattern).test(word));
  return found && word.replace(wholly(found[0]), found[1]);
}

function wholly(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

function checkList(
  spec: ParamSpec,
  node: SourceNode,
  context: ParamContext,
): { value: ParamValue } | { faults: ParamFault[] } {
  const item: ParamSpec = { ...spec, type: spec.of as ParamType };
  // A single value is a list of one: `pci: "0000:03:00.0"`.
  const results = (node.kind === 'list' ? node.items : [node]).map((entry) => checkParam(item, entry, context));
  const faults = results.flatMap((result) => ('faults' in result ? result.faults : []));
  return faults.length > 0 ? { faults } : { value: results.map((result) => ('value' in result ? result.value : null)) };
}

/** Shows a value in a message: quoted, shortened, on one line. */
export function showValue(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return shorten(text);
}

/** Enough of a text to know it again, for a message. */
export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

type Check = (node: ScalarNode, spec: ParamSpec, context: ParamContext) => Checked;

const CHECKS: { readonly [type in Exclude<ParamType, 'list'>]: Check } = {
  string(node, spec) {
    if (typeof node.value === 'string') return fits(node.value, spec) ? { value: node.value } : wrong(node, spec);
    const written = node.source ?? String(node.value);
    if (node.loose) return { value: written };
    return {
      message: `${written}, which YAML reads as a ${typeof node.value}; ${expected(spec)} is wanted`,
      help: `write it in quotes: "${written}"`,
    };
  },
  word(node, spec, context) {
    // YAML reads `off` as text but `false` as a boolean; both mean the same to whoever writes them.
    const { value } = CHECKS.bool(node, spec, context) as { value?: boolean };
    const known = value === undefined ? undefined : value ? 'on' : 'off';
    if (known !== undefined && spec.of?.includes(known)) return { value: known };
    const word = WORD(node, spec, context);
    return 'value' in word && !fits(String(word.value), spec) ? wrong(node, spec) : word;
  },
  int(node, spec) {
    const number = typeof node.value === 'string' && /^-?\d+$/.test(node.value) ? Number(node.value) : node.value;
    if (typeof number !== 'number' || !Number.isSafeInteger(number)) return wrong(node, spec);
    if (number < (spec.min ?? -Infinity) || number > (spec.max ?? Infinity))
      return { message: `${number}; ${expected(spec)} is wanted` };
    return { value: number };
  },
  bool(node, spec) {
    const word = typeof node.value === 'string' ? node.value.toLowerCase() : node.value;
    if (word === true || word === 'on' || word === 'yes' || word === 'true') return { value: true };
    if (word === false || word === 'off' || word === 'no' || word === 'false') return { value: false };
    return wrong(node, spec);
  },
  size(node, spec) {
    const bytes = parseSize(node.source ?? String(node.value));
    if (typeof node.value === 'boolean' || bytes === undefined) return wrong(node, spec);
    if (bytes < (spec.min ?? 0)) {
      const written = (node.source ?? String(node.value)).trim();
      return /^\d+$/.test(written) && bytes > 0
        ? {
            message: `${written} bytes; ${expected(spec)} is wanted`,
            help: `a bare number is bytes: ${Number(written) >= 16 ? `write ${written}M` : `write ${written}G`}`,
          }
        : { message: `${written}; ${expected(spec)} is wanted` };
    }
    if (bytes > (spec.max ?? Infinity) || (spec['power-of-two'] && !Number.isInteger(Math.log2(bytes))))
      return wrong(node, spec);
    return { value: bytes };
  },
  path(node, spec, context) {
    if (typeof node.value !== 'string' || node.value === '') return wrong(node, spec);
    const path = context.resolvePath(node.value);
    return fits(path, spec) ? { value: path } : wrong(node, spec);
  },
  enum(node, spec) {
    const values = (spec.of ?? []) as readonly string[];
    // YAML reads `off` as text but `false` as a boolean; both mean the same to whoever writes them.
    const { value } = CHECKS.bool(node, spec, { resolvePath: String }) as { value?: boolean };
    const written = node.source ?? String(node.value);
    const word = value === undefined || values.includes(written) ? written : value ? 'on' : 'off';
    if (values.includes(word)) return { value: word };
    const help = suggestion(written.toLowerCase(), values) ?? spec.help;
    return { message: `${showValue(node.value)}; use ${listOf(values)}`, help };
  },
  mac(node, spec) {
    // Windows and some labels write it with hyphens; so does QEMU take it.
    const text = String(node.value).replaceAll('-', ':');
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return wrong(node, spec);
    if (Number.parseInt(text.slice(0, 2), 16) & 1)
      return {
        message: `${node.value}, a multicast address, which no card can have`,
        help: 'make the first byte even, as in 52:54:00:…',
      };
    return { value: text.toLowerCase() };
  },
  // A domain may have more digits, as below Intel's VMD.
  pci: matching(
    /^(([0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f](\.[0-7])?|[0-9a-f]{4}:[0-9a-f]{4})$/i,
    'a PCI address such as "0000:03:00.0", or vendor and device as in "10de:2684"',
    (text) => (/^..:..(\.|$)/.test(text) ? `0000:${text}` : text).toLowerCase(),
  ),
  port(node, spec) {
    return CHECKS.int(node, { ...spec, min: spec.min ?? 1, max: 65535 }, { resolvePath: String });
  },
  uuid(node, spec, context) {
    const checked = UUID(node, spec, context);
    if ('value' in checked) return checked;
    // As Windows and some programs write it.
    const [, a, b, c, d, e] =
      /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/i.exec(
        (node.source ?? String(node.value)).replace(/[{}-]|^urn:uuid:/g, ''),
      ) ?? [];
    return { ...checked, help: e === undefined ? 'uuidgen makes one' : `write ${[a, b, c, d, e].join('-')}` };
  },
  wwn(node, spec) {
    // YAML reads 0x… as a number, with fewer digits than it has.
    const [, digits] = /^(?:0x|naa\.)?([0-9a-f]{16})$/i.exec(node.source ?? String(node.value)) ?? [];
    return digits === undefined ? wrong(node, spec) : { value: { u64: `0x${digits.toLowerCase()}` } };
  },
  forward(node) {
    const match = /^(?:(tcp|udp)[/:])?(?:(\d+(?:\.\d+){3}):)?(\d+):(\d+)$/.exec(String(node.value));
    const ports = [Number(match?.[3]), Number(match?.[4])];
    const bytes = match?.[2]?.split('.') ?? [];
    if (!match || ports.some((port) => port < 1 || port > 65535) || bytes.some((byte) => Number(byte) > 255))
      return {
        message: `${showValue(node.value)}; "HOST-PORT:GUEST-PORT" is wanted`,
        help: 'write it in quotes, as in "2222:22", "udp/5353:53" or "127.0.0.1:8080:80"',
      };
    return { value: { str: `${match[1] ?? 'tcp'}:${match[2] ?? '127.0.0.1'}:${match[3]}-:${match[4]}` } };
  },
};

const UUID = matching(
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'a UUID such as 04d064c3-66a1-4aa7-9589-f8b3ecf91cd7',
  (text) => text.toLowerCase(),
);
const WORD = matching(/^[A-Za-z0-9_+.:-]+$/, 'a word of letters, digits and . _ + : -');

function matching(pattern: RegExp, wanted: string, normalize: (text: string) => string = (text) => text): Check {
  return (node) => {
    if (typeof node.value === 'string' && pattern.test(node.value)) return { value: normalize(node.value) };
    if (typeof node.value === 'number' && node.source !== undefined && pattern.test(node.source))
      return Number.isInteger(node.value) && !node.source.includes('.')
        ? { value: normalize(node.source) }
        : { message: `${node.source}, which YAML reads as a number`, help: `write it in quotes: "${node.source}"` };
    return { message: `${showValue(node.value)}; ${wanted} is wanted` };
  };
}

function wrong(node: ScalarNode, spec: ParamSpec): Checked {
  // A number is shown as it was written.
  const shown = node.source === undefined ? showValue(node.value) : shorten(node.source);
  return { message: `${shown}; ${expected(spec)} is wanted` };
}

/** Whether a text is of the length and the form that are wanted. */
function fits(text: string, { min, max, pattern }: ParamSpec): boolean {
  if (pattern !== undefined && !wholly(pattern).test(text)) return false;
  if (min === undefined && max === undefined) return true;
  const length = new TextEncoder().encode(text).length;
  return length >= (min ?? 0) && length <= (max ?? Infinity);
}

/** "did you mean …?", where something is near enough. */
export function suggestion(word: string, candidates: Iterable<string>): string | undefined {
  const near = nearest(word, candidates);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

import * as z from 'zod';
import { LINK_KINDS, PARAM_TYPES, PATH_KINDS } from './template.ts';

function isExpression(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const name = z.string().regex(/^[a-z][a-z0-9-]*$/, 'a name has small letters, digits and - only');
/** A parameter, or a name of the machine's such as `board.isa`. */
const reference = z.string().regex(/^[a-z][a-z0-9.-]*$/, 'a name has small letters, digits, - and . only');
const when = z.record(z.string(), z.union([scalar, z.array(scalar).min(1)]));
const qemu = z.string().regex(/^>=\s*\d+(\.\d+){0,2}$/, 'as in ">=8.1"');
const needs = z
  .strictObject({ qemu: qemu.optional(), board: name.optional(), otherwise: z.enum(['refuse', 'omit']).optional() })
  .refine(({ qemu, board }) => (qemu ?? board) !== undefined, 'it names a `qemu`, a `board` or both');
const slips = z.record(z.string().refine(isExpression, 'it is no regular expression'), z.string().min(1));

const param = z
  .strictObject({
    type: z.enum(PARAM_TYPES),
    summary: z.string().min(1),
    required: z.boolean().optional(),
    unless: name.optional(),
    default: z.union([scalar, z.null(), z.array(scalar)]).optional(),
    example: z.union([scalar, z.array(scalar)]).optional(),
    derive: z.enum(['mac', 'serial']).optional(),
    help: z.string().optional(),
    slips: slips.optional(),
    pattern: z.string().refine(isExpression, 'it is no regular expression').optional(),
    'power-of-two': z.literal(true).optional(),
    'no-less-than': name.optional(),
    of: z.union([z.array(scalar).min(1), z.enum(PARAM_TYPES)]).optional(),
    min: z.number().optional(),
    max: z.number().optional(),
    expect: z.enum([...PATH_KINDS, ...LINK_KINDS]).optional(),
    holds: z.array(z.string().min(1)).min(1).optional(),
    access: z.enum(['read', 'write']).optional(),
    needs: z
      .record(
        z.string(),
        z.strictObject({ qemu: qemu.optional(), board: name.optional(), otherwise: z.string().optional() }),
      )
      .optional(),
  })
  .refine(({ type, of }) => type !== 'enum' || Array.isArray(of), 'an enum needs `of: [values]`')
  .refine(({ type, of }) => type !== 'list' || typeof of === 'string', 'a list needs `of: type`')
  .refine(
    ({ required, default: fallback }) => !(required && fallback !== undefined),
    'what is required needs no default',
  )
  .refine(({ required, unless }) => unless === undefined || required, '`unless` is about what is required')
  .refine(({ expect, holds }) => holds === undefined || expect === 'directory', '`holds` is about a directory');

const argv = z.array(z.union([z.string(), z.strictObject({ args: z.array(z.string()), when })])).min(1);

const sidecar = z
  .strictObject({
    // With the device's id in it, where there may be several.
    name: z
      .string()
      .regex(/^[a-z][a-z0-9-]*(\$\{id\})?$/, 'a name has small letters, digits and - only, and maybe ${id} at its end'),
    argv: argv.optional(),
    package: z.string().optional(),
    programs: z
      .array(z.strictObject({ argv, package: z.string().optional(), when: when.optional() }))
      .min(1)
      .optional(),
    start: z.union([z.enum(['before-qemu', 'after-qemu', 'when-asked']), z.string().regex(/^\$\{.+\}$/)]),
    ready: z.strictObject({ socket: z.string(), timeout: z.number().positive().optional() }).optional(),
    connects: z
      .strictObject({ socket: z.string().optional(), host: z.string().optional(), port: z.string().optional() })
      .refine(
        ({ socket, host, port }) => (host === undefined) === (port === undefined) && (socket ?? host) !== undefined,
        'it has a socket, or a host and a port, or all three',
      )
      .optional(),
    when: when.optional(),
    'on-close': z.union([z.literal('stop'), z.string().regex(/^\$\{.+\}$/)]).optional(),
    capabilities: z.array(z.string().regex(/^[a-z_]+$/)).optional(),
    reconnects: z.union([z.literal(true), z.string().regex(/^\$\{.+\}$/)]).optional(),
    unable: z.string().optional(),
    chatter: z.array(z.string().min(1)).optional(),
    claims: z.array(z.string()).optional(),
    complaints: z
      .array(z.strictObject({ says: z.string(), key: z.string(), message: z.string(), help: z.string().optional() }))
      .optional(),
  })
  .refine(
    ({ argv, package: pack, programs }) => (argv === undefined) !== (programs === undefined) && !(programs && pack),
    'it has `argv`, or `programs` with an argv each',
  );

const slotTable = z
  .strictObject({
    bus: z.string().optional(),
    at: z.array(z.string()).min(1),
    'root-port': z.boolean().optional(),
  })
  .refine(
    ({ bus, at }) => bus !== undefined || at.every((place) => place.includes('/')),
    'places name their bus as in pci.1/1b, or `bus` names it for all',
  );

const board = z.strictObject({ name, family: name.optional(), arch: z.string(), has: z.array(name) });
const busMaker = z.object({ driver: z.string(), bus: z.string(), addr: z.string() }).catchall(scalar);

const combination = z.strictObject({
  when,
  key: name,
  longer: z.number().int().optional(),
  matches: z.string().refine(isExpression, 'it is no regular expression').optional(),
  message: z.string().min(1),
  help: z.string().min(1),
});

/** One QEMU option, with or without conditions. */
const emit = z
  .record(z.string(), z.unknown())
  .refine(
    (entry) => Object.keys(entry).filter((key) => key !== 'when' && key !== 'needs').length === 1,
    'an entry is one option, with `when` and `needs` beside it',
  )
  .refine(
    (entry) => entry['when'] === undefined || when.safeParse(entry['when']).success,
    '`when` is a map of parameters to values',
  )
  .refine(
    (entry) => entry['needs'] === undefined || needs.safeParse(entry['needs']).success,
    '`needs` is as in { qemu: ">=8.1" }',
  );

/** The shape of a template of a device, a machine or a part; what its references mean is judged by `lint`. */
export const DEVICE_TEMPLATE = z.strictObject({
  summary: z.string().min(1),
  include: z.array(name).min(1).optional(),
  params: z.record(name, param).optional(),
  let: z
    .record(name, z.object({ by: z.union([reference, z.array(name).min(1)]) }).catchall(z.union([scalar, z.null()])))
    .optional(),
  requires: z
    .array(
      z.union([z.string(), z.strictObject({ device: z.string(), id: z.string().optional(), when: when.optional() })]),
    )
    .optional(),
  refuse: z.array(combination).optional(),
  useless: z.array(combination).optional(),
  warn: z.array(combination).optional(),
  paths: z
    .array(
      z.strictObject({
        path: z.string(),
        expect: z.enum(PATH_KINDS),
        access: z.enum(['read', 'write']).optional(),
        help: z.string().optional(),
      }),
    )
    .optional(),
  slot: z.string().optional(),
  emit: z.array(emit).optional(),
  sidecars: z.array(sidecar).optional(),
  folders: z.array(z.string()).optional(),
  guest: z.array(z.union([z.string(), z.strictObject({ text: z.string(), when })])).optional(),
  'shared-memory': z.literal(true).optional(),
  resolver: name.optional(),
  needs: needs.optional(),
  board: board.optional(),
  slots: z.record(name, slotTable).optional(),
  buses: z.record(z.string(), z.array(busMaker).min(1)).optional(),
});

/** The shape of `templates/sections.yaml`. */
export const SECTIONS = z.record(
  name,
  z.strictObject({
    summary: z.string().min(1),
    short: name,
    default: name,
    plural: name.optional(),
    folder: z.string().optional(),
    internal: z.boolean().optional(),
    also: z.array(z.string()).optional(),
    slips: slips.optional(),
  }),
);

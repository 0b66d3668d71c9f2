import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findUnwanted, installSetup, isEdited, readContents, readSetup, type SetupPart } from '../admin/setup.ts';
import { type Diagnostic, EXIT, fault } from '../core/diagnostic.ts';
import { diffLines } from '../core/diff.ts';
import { shellJoin } from '../core/quote.ts';
import type { SetupFile } from '../formats/setup/files.ts';
import { findGroup } from '../host/account.ts';
import { type Activation, performActivation } from '../launch/activation.ts';
import type { CliContext } from './context.ts';
import { printable } from './print/diagnostics.ts';
import type { Flags } from './verb.ts';

/** What one setup is to change on the host. */
export interface Setup {
  readonly part: SetupPart;
  readonly files: readonly SetupFile[];
  /** Commands that make what the files need, such as their group. */
  readonly before: readonly Activation[];
  /** Commands that make the host heed the files. */
  readonly after: readonly Activation[];
}

/**
 * Prints what a setup changes, and with `--apply` makes the changes.
 * @returns true when they are made
 */
export async function carryOut(root: string, setup: Setup, flags: Flags, context: CliContext): Promise<boolean> {
  const apply = flags['apply'] === true;
  if (apply) refuseUnlessRoot(root);
  printSetup(root, setup, context);
  if (apply) context.report(await applySetup(root, setup));
  else context.err(`nothing is changed yet; to install it, as root: ezvm setup ${setup.part} --apply\n`);
  return apply;
}

/** Prints what a setup changes, in the form that docs/interfaces.md gives. */
function printSetup(root: string, { part, files, before, after }: Setup, { out }: CliContext): void {
  const changes = [
    ...before.map(toRun),
    ...files.flatMap((file) => (isKept(root, file) ? [] : describe(root, file))),
    ...dropped(root, part, files),
  ];
  const lines = changes.length > 0 ? changes : ['everything is installed already'];
  for (const line of [...lines, ...after.map(toRun)]) out(`${printable(line)}\n`);
}

/** Makes the changes, each noted before so that `setup undo` can take it back, and gives what did not succeed. */
async function applySetup(root: string, { part, files, before, after }: Setup): Promise<Diagnostic[]> {
  const failed = await performActivation(root, before);
  installSetup(
    root,
    part,
    files.map(({ path, content, mode, group, keepsEdits = false }) => ({
      path,
      bytes: Buffer.from(content),
      mode,
      keepsEdits,
      ...(group !== undefined && { owner: { uid: 0, gid: gidOf(group, root) } }),
    })),
  );
  return [...failed, ...(await performActivation(root, after))];
}

/** @throws EzvmError exit 3 for whoever would change the system itself and is not root */
export function refuseUnlessRoot(root: string): void {
  if (root === '/' && process.geteuid?.() !== 0)
    throw fault(EXIT.host, 'not-root', 'only root can change that', { help: 'the same again with sudo' });
}

/** Where the system is that is worked on. @throws EzvmError exit 2 where that is no directory */
export function rootOf(flags: Flags, { cwd }: CliContext): string {
  const root = typeof flags['root'] === 'string' ? resolve(cwd, flags['root']) : '/';
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory()) return root;
  throw fault(EXIT.usage, 'flag-wrong', `there is no directory ${root}`);
}

/** A flag that becomes a word of files that root's programs read. @throws EzvmError exit 2 where it is no such word */
export function wordFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  if (typeof value !== 'string') return undefined;
  if (/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(value)) return value;
  throw fault(EXIT.usage, 'flag-wrong', `--${name} is ${JSON.stringify(value)}, which is no name`, {
    help: 'a name has up to 32 letters, digits and . _ - only, a letter or _ first',
  });
}

/** The group that the host is set up for. */
export function groupOf(flags: Flags): string {
  return wordFlag(flags, 'group') ?? 'ezvm';
}

/** True for a file that stays as the administrator has made it. */
export function isKept(root: string, { path, keepsEdits }: SetupFile): boolean {
  return keepsEdits === true && isEdited(root, path);
}

function toRun({ argv }: Activation): string {
  return `run ${shellJoin(argv)}`;
}

function gidOf(group: string, root: string): number {
  const gid = findGroup(group, root);
  if (gid !== undefined) return gid;
  throw fault(
    EXIT.host,
    'group-missing',
    `there is no group ${group}${root === '/' ? '' : ` in ${join(root, 'etc/group')}`}`,
    {
      help: `make it: groupadd --system ${root === '/' ? '' : `--root ${root} `}${group}`,
    },
  );
}

function describe(root: string, { path, content, mode, group }: SetupFile): string[] {
  const now = readContents(root, path);
  const before = now === null ? undefined : Buffer.from(now.base64, 'base64');
  const isSame = before !== undefined && Buffer.from(content).equals(before);
  const lines =
    typeof content === 'string'
      ? diffLines(before?.toString('utf8'), content)
      : isSame
        ? []
        : [...(before ? [`-a program of ${before.length} bytes`] : []), `+a program of ${content.length} bytes`];
  const owner = group === undefined ? '' : ` root:${group}`;
  const isOurs = group === undefined || (now?.uid === 0 && now.gid === findGroup(group, root));
  const isUsual = now === null ? mode === 0o644 && group === undefined : now.mode === mode && isOurs;
  if (!isUsual) lines.unshift(`mode ${mode.toString(8)}${owner}`);
  return lines.length > 0 ? [`--- ${path}`, `+++ ${path}`, ...lines] : [];
}

/** What is put back, because it is wanted no more. */
function dropped(root: string, part: SetupPart, files: readonly SetupFile[]): string[] {
  return findUnwanted(readSetup(root), part, files).flatMap(({ path, before }) => {
    const [old, now] = [readContents(root, path), before].map((each) =>
      each ? Buffer.from(each.base64, 'base64').toString('utf8') : undefined,
    );
    const lines = diffLines(old, now);
    return lines.length > 0 ? [`--- ${path}`, `+++ ${path}`, ...lines] : [];
  });
}

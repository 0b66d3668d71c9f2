import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { findOwners } from '../admin/owner.ts';
import { type Diagnostic, EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import { type Account, findAccount, findCaller, groupsOf } from '../host/account.ts';
import { findDesktop } from '../host/desktop.ts';
import { isHelperFor } from '../host/helper.ts';
import { closeStrays, INHERITED, type Inherited } from '../host/inherited.ts';
import { isFileRef, locate } from '../input/locate.ts';
import { followRootsFile, followRootsPath } from '../input/trust.ts';
import { closeHanded, type Handed, openDescriptors } from '../launch/descriptor.ts';
import type { Descriptor } from '../plan/planned-qemu.ts';
import { type CliContext, SHOWN } from './context.ts';
import { ezvmArgv } from './ezvm-argv.ts';
import { makePlan } from './pipeline.ts';
import { closeInput, relayInput, relayOutput } from './relay.ts';
import { runRoot } from './running.ts';
import type { Flags } from './verb.ts';

const SETPRIV = '/usr/bin/setpriv';
const PRLIMIT = '/usr/bin/prlimit';
const KEYCTL = '/usr/bin/keyctl';

/** Of root's own settings, whatever the environment says: it may come from the one who called sudo. */
const ROOTS_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };

const SCREEN = ['DISPLAY', 'XAUTHORITY', 'WAYLAND_DISPLAY'];

/** What root does before it hands over. */
interface Prepared {
  readonly descriptors: readonly Descriptor[];
  /** Bytes that may be locked in memory; undefined where nothing wants more. */
  readonly locked: number | undefined;
}

const NOTHING: Prepared = { descriptors: [], locked: undefined };

/**
 * Starts a VM for root as the user that it is for: what only root may open is opened first, and all the rest, from reading
 * the VM file on, is done by an ezvm that is that user for good.
 * @returns the exit code; undefined where root itself is wanted by name
 * @throws EzvmError with the faults of the VM's file, else exit 2, where nothing says who that user is
 */
export async function startAsTarget(ref: string, flags: Flags, context: CliContext): Promise<number | undefined> {
  if (flags['i-know-qemu-runs-as-root'] === true) return undefined;
  const target = findTarget(flags['user'], context);
  if (!target) {
    // Whoever is asked for a flag should not learn only afterwards that the file is wrong.
    await makePlan(ref, flags, context);
    throw unclearTarget(flags['user']);
  }
  const environment = targetEnvironment(target, context.env);
  const config = environment['XDG_CONFIG_HOME'] ?? `${target.home}/.config`;
  const file = locate(ref, context.cwd, `${config}/ezvm`).absolute;
  const sets = (flags['set'] ?? []) as readonly string[];
  const words = ['start', file, ...sets.flatMap((set) => ['--set', set])];
  if (flags['foreground'] === true) words.push('--foreground');
  // What can be changed by others must not make root open anything.
  const roots = sets.length === 0 ? followRootsFile(file) : undefined;
  const prepared = roots === undefined ? NOTHING : await prepare(roots, context);
  const handed = openDescriptors(prepared.descriptors);
  try {
    const exit = await become(target, words, { ...prepared, handed, environment }, context);
    if (exit === EXIT.host && roots === undefined) context.report([toldNothing(file, sets)]);
    return exit;
  } finally {
    closeHanded(handed);
  }
}

/**
 * Runs a verb about VMs that run for root, as the person whose they are: who was asked for, or called sudo. Where root is
 * alone it is the one who has the VM up.
 * @param about the VM, where the verb is about one, and who was asked for
 * @returns undefined where it is root's own
 * @throws EzvmError exit 2 where there is no such person, or several have the VM up
 */
export async function runAsOwner(
  words: readonly string[],
  { ref, asked }: { ref: string | undefined; asked: Flags[string] },
  context: CliContext,
): Promise<number | undefined> {
  const named = typeof asked === 'string' ? findAccount(asked) : undefined;
  if (typeof asked === 'string' && !named) throw fault(EXIT.usage, 'user-unclear', `there is no user ${asked}`);
  const owner = named ?? findCaller(context.env) ?? findOwner(ref, context);
  if (!owner || owner.uid === 0) return undefined;
  const environment = targetEnvironment(owner, context.env);
  return become(owner, words, { ...NOTHING, handed: [], environment }, context);
}

function findOwner(ref: string | undefined, context: CliContext): Account | undefined {
  if (ref === undefined || isFileRef(ref) || existsSync(`${runRoot(context)}/${ref}`)) return undefined;
  const owners = findOwners(ref).flatMap((uid) => findAccount(String(uid)) ?? []);
  if (owners.length <= 1) return owners[0];
  const names = owners.map(({ name }) => name);
  throw fault(EXIT.usage, 'user-unclear', `several users have a VM ${ref} up: ${names.join(', ')}`, {
    help: `say whose: --user ${names[0]}`,
  });
}

function findTarget(asked: Flags[string], { env }: CliContext): Account | undefined {
  const target = typeof asked === 'string' ? findAccount(asked) : findCaller(env);
  return target?.uid === 0 ? undefined : target;
}

function unclearTarget(asked: Flags[string]): EzvmError {
  return fault(
    EXIT.usage,
    'user-unclear',
    typeof asked !== 'string'
      ? 'this is root, and nothing says clearly for whom the VM is'
      : findAccount(asked)
        ? 'QEMU is not run as root'
        : `there is no user ${asked}`,
    { help: 'name the user to run QEMU as: --user NAME; or accept the danger: --i-know-qemu-runs-as-root' },
  );
}

function toldNothing(file: string, sets: readonly string[]): Diagnostic {
  const why =
    sets.length > 0 ? '--set can name any device' : `others than root can change ${file} or a directory above it`;
  return {
    severity: 'note',
    code: 'root-opens-nothing',
    message: `root has opened no device for this VM, because ${why}`,
    help: 'devices are opened for VM files that root alone can change, as in /etc/ezvm/vms; or let a group have them: ezvm setup group',
  };
}

/** What root is to open for a VM whose file nobody else could have written. */
async function prepare(file: string, context: CliContext): Promise<Prepared> {
  try {
    const { plan } = await makePlan(file, {}, { ...context, env: ROOTS_ENVIRONMENT });
    return {
      // A path that somebody else can change could lead to any device by now.
      descriptors: plan.qemu.descriptors.filter(({ fdset, path }) => fdset && followRootsPath(path) !== undefined),
      locked: plan.requirements.find((one) => one.kind === 'locked-memory')?.bytes,
    };
  } catch (error) {
    // Its faults are told by the ezvm that starts it, which may know more templates.
    if (error instanceof EzvmError) return NOTHING;
    throw error;
  }
}

/** Runs ezvm as somebody who cannot come back from it, and waits for its end. */
async function become(
  target: Account,
  words: readonly string[],
  start: Prepared & { handed: readonly Handed[]; environment: Record<string, string> },
  context: CliContext,
): Promise<number> {
  const missing = [SETPRIV, PRLIMIT].find((path) => !existsSync(path));
  if (missing !== undefined)
    throw fault(EXIT.host, 'program-missing', `${missing} is not installed`, {
      help: 'install the package util-linux',
    });
  const inherited = start.descriptors.map(({ path, access, direct, exclusive }, index): Inherited => {
    return { fd: 3 + index, path, access, direct, exclusive };
  });
  // What may gain no rights cannot call the helper, which knows what its policy gives to this user.
  const confined = isHelperFor(groupsOf(target)) ? [] : ['--bounding-set=-all', '--no-new-privs'];
  const limit = start.locked === undefined ? [] : [PRLIMIT, `--memlock=${start.locked}:${start.locked}`];
  const [program = '', ...args] = [
    ...limit,
    ...ownKeyring(),
    SETPRIV,
    `--reuid=${target.uid}`,
    `--regid=${target.gid}`,
    '--init-groups',
    '--inh-caps=-all',
    '--ambient-caps=-all',
    ...confined,
    ...ezvmArgv(context),
    ...words,
  ];
  closeStrays();
  // Of other verbs' input nothing may go to a user whom it was not typed for.
  const typed = words[0] === 'monitor' && words.length === 2;
  const child = spawn(program, args, {
    cwd: context.cwd,
    // In a session of its own: what shares root's terminal can type in it.
    detached: true,
    env: {
      ...start.environment,
      ...(context.interactive && { [SHOWN]: '1' }),
      ...(inherited.length > 0 && { [INHERITED]: JSON.stringify(inherited) }),
    },
    // Who has the terminal open reads what root types.
    stdio: [typed ? 'pipe' : 'ignore', 'pipe', 'pipe', ...start.handed.map(({ from }) => from)],
  });
  relayOutput(child, { out: context.out, err: untilKeyring(context.err) });
  // The child is the one that knows what to do; once it is gone, what it left behind need not be waited for.
  const pass = (signal: NodeJS.Signals): void => {
    if (child.kill(signal)) return;
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => pass(signal));
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  if (!child.stdin) return ended;
  relayInput(child.stdin);
  return ended.finally(closeInput);
}

/**
 * The words that give a program an empty session keyring. With root's own, whoever takes over a program of the user's, such
 * as QEMU, could read root's keys: what holds them is inherited, whoever one becomes.
 */
function ownKeyring(): readonly string[] {
  const words = [KEYCTL, 'session', '-'];
  // A container may forbid keyrings altogether.
  const isPossible = existsSync(KEYCTL) && spawnSync(KEYCTL, [...words.slice(1), '/bin/true']).status === 0;
  return isPossible ? words : [];
}

/** Leaves out what keyctl says of it, which it does before anybody else. */
function untilKeyring(err: CliContext['err']): CliContext['err'] {
  let said = false;
  return (text) => {
    err(said ? text : text.replace(/^Joined session keyring: \d+\n/, ''));
    said = true;
  };
}

/** What a login of the target would have, and how its desktop is found; of root's environment only what shows texts. */
function targetEnvironment(target: Account, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: target.home,
    USER: target.name,
    LOGNAME: target.name,
  };
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && /^(LANG|LC_[A-Z]+|TZ|TERM|NO_COLOR)$/.test(name)) environment[name] = value;
  const desktop = { ...findDesktop(target) };
  // sudo keeps these, and they are the caller's own: another screen than the found one, as by ssh, is meant instead of it.
  if (findCaller(env)?.uid === target.uid && env['DISPLAY'] && env['DISPLAY'] !== desktop['DISPLAY'])
    for (const name of SCREEN) desktop[name] = env[name] ?? '';
  // Where they are logged in at no screen, one that root names is better than none.
  else if (SCREEN.every((name) => !desktop[name])) desktop['DISPLAY'] = env['DISPLAY'] ?? '';
  for (const [name, value] of Object.entries(desktop)) if (value !== '') environment[name] = value;
  return environment;
}

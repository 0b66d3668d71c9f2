import { readFileSync, type Stats, statSync } from 'node:fs';
import type { HelperFacts } from './facts.ts';
import { groupName } from './group.ts';
import { isExecutable } from './programs.ts';

const PLACES = ['/usr/libexec/ezvm-priv', '/usr/local/libexec/ezvm-priv'];
/** What it says of itself; the number changes when callers have to. */
const KNOWN = 'ezvm-priv 1';
const PREFIX = 'ezvm-priv: ';
const WARNING = `${PREFIX}warning: `;
/** What it may take, which looks at every process for open devices. */
const PATIENCE = 40_000;
/** The most that it is asked for in one call. */
const MOST = 32;
const SETUID = 0o4000;
const OTHERS_WRITE = 0o022;
const ANEW = 'install it anew: sudo ezvm setup helper --apply';

/**
 * The setuid helper of this host, as far as a look at its file tells; undefined where there is none. Root has no use for it.
 * @param chosen where settings say it is
 */
export function findHelper(chosen: string | undefined, status = '/proc/self/status'): HelperFacts | undefined {
  if (process.geteuid?.() === 0) return undefined;
  for (const path of chosen === undefined ? PLACES : [chosen]) {
    const found = lookAt(path);
    if (!found?.isFile()) continue;
    const fault = findFault(path, found) ?? (maySetuid(status) ? undefined : CONFINED);
    return { path, ...(fault && { fault }) };
  }
  return undefined;
}

/** Whether the helper may be called by somebody else than this process is; for root, who starts what calls it. */
export function isHelperFor(groups: readonly number[]): boolean {
  const found = PLACES.map(lookAt).find((each) => each?.isFile());
  return found !== undefined && isRootsSetuid(found) && groups.includes(found.gid);
}

/** Whether only root can have made a program what it is; also for one that is gone, which cannot be called anyway. */
export function isRootsOrGone(path: string): boolean {
  const found = lookAt(path);
  return found === undefined || (found.isFile() && isRootsSetuid(found) && (found.mode & OTHERS_WRITE) === 0);
}

function isRootsSetuid({ uid, mode }: Stats): boolean {
  return uid === 0 && (mode & SETUID) !== 0;
}

/** What the helper says to taps for this user on `bridges`, and whether it is one that this ezvm can speak to. */
export async function askAboutBridges(helper: HelperFacts, bridges: readonly string[]): Promise<HelperFacts> {
  if (helper.fault) return helper;
  const { said, error } = await callHelper(helper.path, ['--version']);
  const [version = ''] = said.split('\n');
  if (version !== KNOWN) {
    const message = `${helper.path} is not of this ezvm's version: it says ${JSON.stringify(version || error)}, not "${KNOWN}"`;
    return { ...helper, fault: { message, help: ANEW } };
  }
  const answers: [string, string | null][] = [];
  for (let first = 0; first < bridges.length; first += MOST) {
    const some = bridges.slice(first, first + MOST);
    const grants = some.map((bridge, index) => `--tap=${3 + index}:${bridge}`);
    const { refused, faults } = await checkGrants(helper.path, grants);
    answers.push(
      ...some.map((bridge, index): [string, string | null] => {
        const refusal = refused.find(({ grant }) => grant === grants[index]);
        return [bridge, refusal?.sentence ?? faults[0] ?? null];
      }),
    );
  }
  return { ...helper, bridges: Object.fromEntries(answers) };
}

/** What the helper would not give. */
export interface HelperAnswer {
  readonly refused: readonly { readonly grant: string; readonly sentence: string }[];
  /** Why it does not answer at all. */
  readonly faults: readonly string[];
}

/** Asks the helper whether it would give all of this, to `program` where one is named. Changes nothing. */
export async function checkGrants(path: string, grants: readonly string[], program?: string): Promise<HelperAnswer> {
  const words = ['check', ...grants, ...(program === undefined ? [] : ['--', program])];
  const { said, complaints, error } = await callHelper(path, words);
  const lines = said.split('\n').map((line) => line.split('\t'));
  const refused = lines.flatMap(([verdict, grant = '', , sentence = '']) =>
    verdict === 'refused' ? [{ grant, sentence }] : [],
  );
  const isAnswered = refused.length > 0 || lines.some(([verdict]) => verdict === 'allowed');
  return { refused, faults: isAnswered ? [] : complaints.length > 0 ? complaints : [error ?? 'it says nothing'] };
}

/** What the helper refuses or could not do, among lines of output. */
export function helperSentences(lines: readonly string[]): readonly string[] {
  return lines
    .filter((line) => line.startsWith(PREFIX) && !line.startsWith(WARNING))
    .map((line) => line.slice(PREFIX.length));
}

async function callHelper(
  path: string,
  words: readonly string[],
): Promise<{ said: string; complaints: readonly string[]; error: string | undefined }> {
  const { spawnSync } = await import('node:child_process');
  const { stdout, stderr, error } = spawnSync(path, words, {
    cwd: '/',
    encoding: 'utf8',
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE,
  });
  return { said: stdout ?? '', complaints: helperSentences((stderr ?? '').split('\n')), error: error?.message };
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function findFault(path: string, { uid, gid, mode }: Stats): HelperFacts['fault'] {
  if (uid !== 0) return { message: `${path} belongs to user ${uid} and not to root`, help: ANEW };
  if ((mode & OTHERS_WRITE) !== 0) return { message: `${path} can be changed by others than root`, help: ANEW };
  if ((mode & SETUID) === 0) return { message: `${path} is not setuid`, help: ANEW };
  if (isExecutable(path)) return undefined;
  const group = groupName(gid);
  return {
    message: `${path} is for members of the group ${group} only`,
    help: `become one: sudo usermod -aG ${group} $USER, and log in again`,
  };
}

/** As in Flatpak, in Snap, and in what root's ezvm starts for a user. */
const CONFINED = {
  message: 'programs that are started here may gain no rights (no_new_privs)',
  help: 'start ezvm without sudo, and outside of sandboxes',
};

function maySetuid(status: string): boolean {
  try {
    return !/^NoNewPrivs:\t1$/m.test(readFileSync(status, 'latin1'));
  } catch {
    return false;
  }
}

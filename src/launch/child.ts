import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { Exit } from '../admin/exit.ts';
import { type LogMark, lastLines, openLog } from '../admin/log.ts';
import { identify, type ProcessIdentity } from '../admin/process.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { closeStrays, findInherited } from '../host/inherited.ts';
import type { Handed } from './descriptor.ts';
import { hostFault, reasonOf } from './host-fault.ts';

/** A process that ezvm has started and that outlives it. */
export interface Child {
  readonly name: string;
  readonly identity: ProcessIdentity;
  readonly log: LogMark;
  /** The other end of its descriptor 3, where one was asked for. */
  readonly channel: Duplex | undefined;
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<Exit>;
  /** How it ended, once it has. */
  exit(): Exit | undefined;
  /** Lets ezvm exit before it does. */
  release(): void;
  /** Of one that is watched: its parent, and what lets it become its program once it is noted. */
  readonly watched?: { readonly by: ProcessIdentity; begin(): void };
}

/** What a child is started with. */
export interface ChildOptions {
  readonly stateDir: string;
  readonly environment: { readonly [variable: string]: string };
  /** Connect its descriptor 3 to us. */
  readonly channel?: boolean;
  /** It draws on our terminal and reads from it; what it complains of still goes to its log. */
  readonly terminal?: boolean;
  /** An open file for its standard output, in place of the log. */
  readonly output?: number;
  /** Open files that it gets under numbers of its own. */
  readonly handed?: readonly Handed[];
  /** What is in lines of its log that are no news. */
  readonly chatter?: readonly string[];
  /** Words before its command line: a program that becomes it. */
  readonly wrapper?: readonly string[];
}

/**
 * Starts a program in a session of its own, so that no terminal can end it, with its output in the VM's log directory. It
 * has open what it is handed, and nothing of what whoever started us had open.
 * @throws EzvmError exit 3 when it cannot be executed
 */
export async function startChild(name: string, argv: readonly string[], options: ChildOptions): Promise<Child> {
  const [program = '', ...args] = [...(options.wrapper ?? []), ...argv];
  const log = openLogOrFail(options.stateDir, name);
  closeStrays();
  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      cwd: '/',
      detached: true,
      env: options.environment,
      stdio: stdioOf(log.fd, options),
    });
  } finally {
    closeSync(log.fd);
  }
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (!identity) {
    const [error] = await once(child, 'error');
    throw fault(EXIT.host, 'program-refused', `${program} cannot be executed: ${reasonOf(error)}`);
  }
  let exit: Exit | undefined;
  const ended = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    });
  });
  return {
    name,
    identity,
    log: { ...log, ...(options.chatter && { chatter: options.chatter }) },
    channel: (child.stdio[3] ?? undefined) as Duplex | undefined,
    ended,
    exit: () => exit,
    release: () => child.unref(),
  };
}

function stdioOf(
  log: number,
  { terminal, channel, output, handed = [] }: ChildOptions,
): (number | 'ignore' | 'pipe')[] {
  const stdio: (number | 'ignore' | 'pipe')[] = terminal ? [0, 1] : ['ignore', output ?? log];
  stdio.push(log, channel ? 'pipe' : 'ignore');
  const place = (fd: number, from: number): void => {
    while (stdio.length < fd) stdio.push('ignore');
    stdio[fd] = from;
  };
  // What we were handed ourselves would go on to every child under its number, if nothing else took its place.
  for (const { fd } of findInherited()) if (fd > 3 || !channel) place(fd, log);
  for (const { fd, from } of handed) place(fd, from);
  return stdio;
}

/** What a child said last, to follow a sentence about it: `: its line`, or several lines below, or nothing. */
export function lastWords(child: Child): string {
  const lines = lastLines(child.log);
  return lines.length > 1
    ? `:\n${lines.map((line) => `  ${line}`).join('\n')}`
    : lines.map((line) => `: ${line}`).join('');
}

function openLogOrFail(stateDir: string, name: string): ReturnType<typeof openLog> {
  try {
    return openLog(stateDir, name);
  } catch (error) {
    throw hostFault(error, `write the log of ${name} in ${stateDir}`);
  }
}

import { accessSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type Exit, exitOfShell } from '../admin/exit.ts';
import { identify } from '../admin/process.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { findUtility } from '../host/programs.ts';
import { type Child, type ChildOptions, lastWords, startChild } from './child.ts';
import { hostFault, reasonOf } from './host-fault.ts';

/**
 * The parent that a program keeps when ezvm ends: how a process ended is told to its parent only. It says the program's
 * number on descriptor 3, lets it begin at a line from there, and writes number and status to its standard output.
 * 4 to 9 may be the program's locks, which must end with it; beyond 9 not every shell can close anything.
 */
const WATCHER = `{ read -r begin <&3 && exec "$@" >&2 3>&-; } &
echo $! >&3
exec 2>/dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
wait $!
status=$?
echo $! $status
exit $status`;

/** The words before a command line that has such a parent; the program gets a session of its own, to be ended with what it has started. */
export function watcherWords(): readonly string[] {
  return ['/bin/sh', '-c', WATCHER, 'ezvm-watch', findUtility('setsid')];
}

/**
 * Starts a program as `startChild` does, under a shell that writes to the file `end` how it ended, whether or not ezvm is
 * there by then. Until `begin` it waits, and ends if ezvm does: it can be noted before it does anything.
 * @throws EzvmError exit 3 when it cannot be executed
 */
export async function startWatched(
  name: string,
  argv: readonly string[],
  options: ChildOptions,
  end: string,
): Promise<Child> {
  const [program = ''] = argv;
  refuseUnexecutable(program);
  const output = openEnd(end);
  const words = [...watcherWords(), ...argv];
  const watcher = await startChild(name, words, { ...options, channel: true, output }).finally(() => closeSync(output));
  const { channel } = watcher;
  if (!channel) throw new Error('the watcher has no channel');
  const pid = await readNumber(channel);
  const identity = pid === undefined ? undefined : identify(pid);
  if (!identity)
    throw fault(EXIT.host, 'program-refused', `${program} cannot be executed${lastWords(watcher)}`, {
      help: `all that was said is in ${watcher.log.path}`,
    });
  return {
    ...watcher,
    identity,
    channel: undefined,
    ended: watcher.ended.then(fromShell),
    exit() {
      const exit = watcher.exit();
      return exit && fromShell(exit);
    },
    release() {
      watcher.release();
      channel.destroy();
    },
    watched: { by: watcher.identity, begin: () => void channel.end('\n') },
  };
}

function refuseUnexecutable(program: string): void {
  try {
    accessSync(program, constants.X_OK);
  } catch (error) {
    throw fault(EXIT.host, 'program-refused', `${program} cannot be executed: ${reasonOf(error)}`);
  }
}

/** A new file each time: the watcher of an earlier one may still write to the old one. */
function openEnd(path: string): number {
  try {
    rmSync(path, { force: true });
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    throw hostFault(error, `make ${path}`);
  }
}

/** The number that the watcher says; undefined when it ends without any. */
function readNumber(channel: Duplex): Promise<number | undefined> {
  return new Promise((resolve) => {
    // One that is killed meanwhile is told by its end.
    channel.on('error', () => {});
    channel.once('data', (line: Buffer) => resolve(Number(line)));
    channel.once('close', () => resolve(undefined));
  });
}

function fromShell(exit: Exit): Exit {
  return exit.code === null ? exit : exitOfShell(exit.code);
}

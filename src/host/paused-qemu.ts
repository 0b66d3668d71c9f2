import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { findComplaint } from '../qemu/complaint.ts';
import { connectQmp, type QmpClient, QmpLost } from '../qemu/qmp.ts';

/** Long enough for a QEMU on a slow disk; one that takes longer hangs. */
const PATIENCE_MS = 20_000;

const SETPRIV = '/usr/bin/setpriv';

/** How long a QEMU that closed its monitor may take to be gone. */
const LAST_BREATH_MS = 5_000;

/** A QEMU that answers questions and runs no guest. */
export interface PausedQemu {
  readonly qmp: QmpClient;
  /** Why `error` came up while it was asked: its last words, if it died of it. */
  explain(error: Error): Promise<string>;
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts QEMU with `args`, paused, with a private QMP channel: no socket in the file system, nothing that outlives it.
 * Throws Error with QEMU's own words when it does not get as far as answering.
 */
export async function startPaused(binary: string, args: readonly string[]): Promise<PausedQemu> {
  const common = ['-S', '-no-user-config', '-nodefaults', '-display', 'none'];
  const channel = ['-chardev', 'socket,id=qmp,fd=3', '-qmp', 'chardev:qmp'];
  const [program, ...rest] = boundToUs([binary, ...common, ...args, ...channel]);
  // Its own directory could be one that is about to be unmounted or removed.
  const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], cwd: '/' });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-65_536);
  });
  let failure: string | undefined;
  const gone = new Promise<void>((resolve) => {
    child.on('close', (code, signal) => {
      failure ??= findComplaint(stderr) ?? (signal ? `it died of ${signal}` : `it ended with status ${code}`);
      resolve();
    });
    child.on('error', (error) => {
      failure ??= error.message;
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  const explain = async (error: Error): Promise<string> => {
    if (!(error instanceof QmpLost && error.ended)) return error.message;
    // The monitor closes a moment before the process is gone and all of its stderr is here.
    const timer = setTimeout(() => {
      failure ??= error.message;
      child.kill('SIGKILL');
    }, LAST_BREATH_MS);
    await gone;
    clearTimeout(timer);
    return failure ?? error.message;
  };
  try {
    const qmp = await connectQmp(child.stdio[3] as Duplex, { timeoutMs: PATIENCE_MS });
    return { qmp, explain, stop };
  } catch (error) {
    const reason = await explain(error as Error);
    await stop();
    throw new Error(reason);
  }
}

/** What a command line such as `qemu -display help` prints on stdout, as far as it came before `signal`. */
export async function readHelp(binary: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const { execa } = await import('execa');
  const [program, ...rest] = boundToUs([binary, ...args]);
  const { stdout } = await execa(program, rest, {
    cancelSignal: signal,
    cwd: '/',
    killSignal: 'SIGKILL',
    reject: false,
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: PATIENCE_MS,
  });
  return stdout ?? '';
}

/** The command line of a child that dies with us, even by SIGKILL: a paused QEMU would wait for a question for ever. */
function boundToUs(argv: readonly string[]): readonly [string, ...string[]] {
  const [program = '', ...rest] = argv;
  return existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig=KILL', program, ...rest] : [program, ...rest];
}

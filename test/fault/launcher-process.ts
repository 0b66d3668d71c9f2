import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { RunState } from '../../src/admin/state.ts';
import type { VmCondition } from '../../src/admin/status.ts';
import type { Diagnostic } from '../../src/core/diagnostic.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { type Lab, until } from '../launch/plan-builder.ts';

/** What a launcher process is to do. */
export interface Job {
  readonly plan: Plan;
  /** SIGKILL itself at this moment of the start. */
  readonly killAt?: string;
  /** SIGTERM itself at this moment of the start. */
  readonly signalAt?: string;
  /** Milliseconds since 1970. */
  readonly notBefore?: number;
  readonly foreground?: boolean;
  /** Run as this user, and as the group of the same number or another; needs root. */
  readonly uid?: number;
  readonly gid?: number;
  /** Not a start, but a look at the VM or its end. */
  readonly verb?: 'status' | 'stop';
}

export interface Outcome {
  readonly state?: RunState;
  readonly warnings?: readonly Diagnostic[];
  readonly exitStatus?: number | undefined;
  readonly condition?: VmCondition;
  readonly diagnostics?: readonly Diagnostic[];
  readonly moments?: readonly string[];
  readonly progress?: readonly string[];
}

export interface Ended extends Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** A launcher that runs. */
export interface Launcher {
  readonly child: ChildProcess;
  /** Resolves when it has printed this line of progress, or has ended; `up` comes when a VM in the foreground is up. */
  says(line: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** Bundles a program beside this file, which Node 20 cannot run as it is; gives the path of the bundle. */
export async function buildLauncher(dir: string, name = 'launcher'): Promise<string> {
  const outfile = join(dir, `${name}.cjs`);
  await build({
    entryPoints: [join(import.meta.dirname, `${name}.ts`)],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile,
    logLevel: 'error',
  });
  return outfile;
}

/** Starts a launcher in a process of its own. */
export function startLauncher(program: string, lab: Lab, job: Job): Launcher {
  // Outside the lab: its own command line must not count as a leftover.
  const file = join(program, '..', `${randomUUID()}.json`);
  writeFileSync(file, JSON.stringify(job));
  const child = spawn(process.execPath, [program, file], {
    ...(job.uid !== undefined && { uid: job.uid, gid: job.gid ?? job.uid }),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', HOME: lab.dir },
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => {
      const last = stdout.trimEnd().split('\n').at(-1) ?? '';
      const outcome = last.startsWith('{') ? (JSON.parse(last) as Outcome) : {};
      resolve({ ...outcome, code, signal, stderr });
    });
  });
  const says = (line: string): Promise<void> =>
    until(`"${line}"`, () => stdout.split('\n').includes(line) || child.exitCode !== null || child.signalCode !== null);
  return { child, says, ended };
}

/** Starts a launcher and waits for its end. */
export function runLauncher(program: string, lab: Lab, job: Job): Promise<Ended> {
  return startLauncher(program, lab, job).ended;
}

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../core/json.ts';
import type { Plan } from '../plan/plan.ts';
import { canSeeClients, hasClient } from './endpoint.ts';
import { describeExit, readEnd } from './exit.ts';
import { lastLines, lastWritten, logPath } from './log.ts';
import { isAlive, isStopped } from './process.ts';
import { readKept, replaceFile, runFiles } from './run-dir.ts';
import type { RunState } from './state.ts';

/** One sidecar's part of a VM's status. */
export interface SidecarStatus {
  readonly name: string;
  /** Absent when it was never started. */
  readonly pid?: number;
  readonly alive: boolean;
  /** Of one that shows a screen: nobody is connected to that. */
  readonly connected?: false;
  /** It lives, and does nothing until somebody sends it SIGCONT. */
  readonly stopped?: true;
  /** QEMU cannot do without it. */
  readonly needed: boolean;
  /** `ezvm restart-sidecar` can bring it back: it needs QEMU, or QEMU connects to it again. */
  readonly restartable: boolean;
  /** Why it does not run, such as `exited with status 1`; absent where its watcher was killed first. */
  readonly reason?: string;
  /** When it ended, by its watcher, as ISO 8601. */
  readonly ended?: string;
  /** When it last wrote to its log, of one that is dead, as ISO 8601: what is nearest to the time of its end where that is not known. */
  readonly heard?: string;
  /** What it said last, when it is dead. */
  readonly said?: readonly string[];
}

/** How a VM's run ended that did not end by itself. */
export interface Crash {
  readonly reason: string;
  /** Absolute path of the VM file. */
  readonly file: string;
  readonly sidecars: readonly SidecarStatus[];
  /** What QEMU said last. */
  readonly said?: readonly string[];
}

/** How the sidecars of a VM are that were to be started. */
export function sidecarStatuses(state: RunState, plan: Plan): SidecarStatus[] {
  return plan.sidecars.flatMap(({ name, when, reconnects, needs, chatter = [] }): SidecarStatus[] => {
    const started = state.sidecars.find((one) => one.name === name);
    const noted = state.reasons?.[name];
    if (!started && noted === undefined) return [];
    const alive = started !== undefined && isAlive(started);
    const end = started && !alive ? readEnd(plan.vm.runDir, started) : undefined;
    const reason = noted ?? (end && describeExit(end.exit));
    const path = logPath(plan.vm.stateDir, name);
    const log = started && !alive ? { path, offset: started.logOffset, chatter } : undefined;
    const said = log && lastLines(log);
    const heard = log && lastWritten(log);
    return [
      {
        name,
        ...(started && { pid: started.pid }),
        alive,
        ...(alive && isStopped(started) && { stopped: true }),
        ...(alive && needs && canSeeClients() && !hasClient(needs) && { connected: false as const }),
        needed: when === 'before',
        restartable: when !== 'before' || reconnects === true,
        ...(!alive && reason !== undefined && { reason }),
        ...(end && { ended: end.at.toISOString() }),
        ...(heard && { heard }),
        ...(said && { said }),
      },
    ];
  });
}

/** What there is to tell of a run whose QEMU is gone; undefined when it ended in order. */
export function findCrash(state: RunState, plan: Plan): Crash | undefined {
  // Those that live are ended as soon as this has been told.
  const sidecars = sidecarStatuses(state, plan).map(({ stopped: _, ...one }) =>
    one.alive ? { ...one, alive: false, reason: 'is ended with the VM' } : one,
  );
  const common = { file: plan.vm.file, sidecars };
  if (state.phase === 'starting') return { reason: 'the ezvm that was starting it was killed', ...common };
  // A QEMU that ends in order removes its pidfile.
  if (!existsSync(runFiles(plan.vm.runDir).pidfile)) return undefined;
  const said = lastLines({ path: logPath(plan.vm.stateDir, 'qemu'), offset: state.qemu?.logOffset ?? 0 });
  return { reason: 'QEMU was killed or crashed', ...common, said };
}

/** Keeps a crash beside the VM's state, for everybody who asks until the VM is started again. */
export function noteCrash(stateDir: string, crash: Crash): void {
  try {
    replaceFile(notePath(stateDir), `${JSON.stringify(crash)}\n`);
  } catch {
    // A state directory that is gone or full must not keep the VM from being tidied up.
  }
}

/** The crash that ended the VM's last run, if one did. */
export function readCrash(stateDir: string): Crash | undefined {
  try {
    const crash: unknown = JSON.parse(readKept(notePath(stateDir)) ?? '');
    return isRecord(crash) && typeof crash['reason'] === 'string' && Array.isArray(crash['sidecars'])
      ? (crash as unknown as Crash)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A new start makes an old crash history. */
export function forgetCrash(stateDir: string): void {
  rmSync(notePath(stateDir), { force: true });
}

function notePath(stateDir: string): string {
  return join(stateDir, 'crash.json');
}

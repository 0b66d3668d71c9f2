import { hasClient } from '../admin/endpoint.ts';
import { describeExit } from '../admin/exit.ts';
import { isAlive } from '../admin/process.ts';
import { noteEnd } from '../admin/sidecar-end.ts';
import { isUp, readState } from '../admin/state.ts';
import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import { findScreenFault } from '../host/session.ts';
import type { Plan, Sidecar } from '../plan/plan.ts';
import { lastWords, startChild } from './child.ts';
import { childEnvironment } from './environment.ts';
import { poll } from './poll.ts';
import { bootedPlan, type Reopened, reopen, type SidecarTarget } from './reopen.ts';
import { stop } from './stop.ts';

/** How to open a viewer. */
export interface ViewOptions {
  /** Variables of the graphical session. */
  readonly session: { readonly [variable: string]: string };
  /** The words that run ezvm itself, for what has to stay when this process ends. */
  readonly ezvm: readonly string[];
  /** Stay until it is closed; where it is to stop the VM, do that. */
  readonly foreground?: boolean;
  readonly onProgress?: (text: string) => void;
}

/** Names of viewers, by what became of them. */
export interface Viewed {
  readonly opened: readonly string[];
  readonly kept: readonly string[];
}

/** Milliseconds until a viewer that another process opens must be there. */
const OPENING = 20_000;

/**
 * Opens the viewers of a VM that runs.
 * @returns the names of those that were opened, and of those that were open already
 * @throws EzvmError exit 3 when one cannot be started, 4 when the VM does not run or has none
 */
export async function view(vm: SidecarTarget, options: ViewOptions): Promise<Viewed> {
  const plan = bootedPlan(vm);
  const viewers = plan.sidecars.filter(({ when }) => when !== 'before');
  if (viewers.length === 0) throw noViewer(plan);
  const opened: string[] = [];
  const kept: string[] = [];
  for (const sidecar of viewers) {
    if (sidecar.onClose && !options.foreground) {
      if (isOpen(vm, sidecar)) {
        kept.push(sidecar.name);
        continue;
      }
      await openWatched(plan, sidecar, options);
    } else {
      const reopened = await reopen(vm, sidecar, { ...options, old: 'keep' }).catch((error) =>
        explain(error, options.session),
      );
      if (!reopened) {
        kept.push(sidecar.name);
        continue;
      }
      if (options.foreground) await stay(plan, sidecar, reopened, options);
      else reopened.child.release();
    }
    opened.push(sidecar.name);
  }
  return { opened, kept };
}

/** A viewer that failed for want of a screen says so in words of its own, if it does. */
async function explain(error: unknown, session: ViewOptions['session']): Promise<never> {
  const screen = error instanceof EzvmError ? await findScreenFault(session) : undefined;
  if (!screen || !(error instanceof EzvmError)) throw error;
  const help = `${screen.message}; ${screen.help}`;
  throw new EzvmError(
    error.diagnostics.map((one) => (one.code === 'sidecar-failed' ? { ...one, help } : one)),
    error.exit,
  );
}

/**
 * Opens a viewer whose end stops the VM, by an ezvm that waits for that: how a process ended is told to its parent only.
 * @throws EzvmError exit 3 with what that ezvm said
 */
export async function openWatched(plan: Plan, sidecar: Sidecar, options: ViewOptions): Promise<void> {
  const { name, stateDir, runDir } = plan.vm;
  const environment = childEnvironment(process.env, options.session);
  const argv = [...options.ezvm, 'view', name, '--foreground'];
  const watcher = await startChild(`${sidecar.name}-watch`, argv, { stateDir, environment });
  const isShown = (): boolean => isOpen(plan.vm, sidecar) && (!sidecar.needs || hasClient(sidecar.needs));
  const shown = await poll(isShown, OPENING, watcher.ended);
  watcher.release();
  if (shown || !watcher.exit()) return;
  const said = readState(runDir)?.reasons?.[sidecar.name];
  throw fault(EXIT.host, 'sidecar-failed', `${sidecar.name} ${said ?? 'was not opened'}${lastWords(watcher)}`, {
    origin: sidecar.origin,
  });
}

function isOpen(vm: SidecarTarget, { name }: Sidecar): boolean {
  return readState(vm.runDir)?.sidecars.some((one) => one.name === name && isAlive(one)) ?? false;
}

/** Waits until a viewer ends, and does what its end is to do. */
async function stay(plan: Plan, sidecar: Sidecar, { child, qemu }: Reopened, options: ViewOptions): Promise<void> {
  const { name } = sidecar;
  const { pid } = child.identity;
  const exit = await child.ended;
  const state = readState(plan.vm.runDir);
  const isOurs = state?.sidecars.some((one) => one.name === name && one.pid === pid);
  if (!isOurs || !isUp(state) || state.qemu.pid !== qemu.pid) return;
  await noteEnd(plan.vm, { name, pid }, describeExit(exit));
  // A viewer that crashed was not closed by anybody.
  if (!sidecar.onClose || exit.code !== 0 || state.phase !== 'running') return;
  try {
    await stop(plan.vm, options.onProgress && { onProgress: options.onProgress });
  } catch (error) {
    const code = error instanceof EzvmError ? error.diagnostics[0]?.code : undefined;
    // The guest has shut down by itself, which is why the viewer ended; or somebody else stops it.
    if (code === 'vm-down' || code === 'vm-busy') return;
    await noteEnd(plan.vm, { name, pid }, `was closed, but ${(error as Error).message}`);
    throw error;
  }
}

function noViewer({ vm, qemu }: Plan): EzvmError {
  const display = qemu.options.find(({ name }) => name === 'display')?.args;
  const type = typeof display === 'object' ? String(display['type']) : String(display ?? 'none');
  return fault(EXIT.state, 'viewer-none', `VM ${vm.name} has no viewer`, {
    help:
      type === 'none' || type === 'egl-headless'
        ? 'start it with `display: spice` or `display: vnc`'
        : `its screen is shown by QEMU itself (\`display: ${type}\`)`,
  });
}

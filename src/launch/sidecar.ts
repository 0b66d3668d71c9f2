import { type Diagnostic, EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { Sidecar } from '../plan/plan.ts';
import { type Child, describeExit, lastWords } from './child.ts';
import { poll } from './poll.ts';
import { canConnect } from './port.ts';
import { isListening } from './socket.ts';
import { record, type Start, startRecorded } from './start.ts';

/** Milliseconds that something QEMU opens itself may take to answer. */
const NEEDS_PATIENCE = 10_000;
/** Milliseconds after which a program without a sign of readiness, such as a viewer, counts as started. */
const SETTLING = 400;

/**
 * Starts a sidecar that QEMU needs and waits until it is ready.
 * @throws EzvmError exit 3 with what the sidecar said last
 */
export async function startBefore(start: Start, sidecar: Sidecar): Promise<void> {
  const child = await startSidecar(start, sidecar);
  await awaitReady(start, sidecar, child);
}

/** The error that names the first sidecar QEMU needs and that has ended; undefined while all run. */
export function findDead(start: Start): EzvmError | undefined {
  for (const { sidecar, child } of needed(start)) {
    const exit = child.exit();
    if (exit)
      return failed(sidecar, child, `${sidecar.name}, which QEMU needs, ${describeExit(exit)}${lastWords(child)}`);
  }
  return undefined;
}

/** Rejects, with the error that names it, when a sidecar that QEMU needs ends; never resolves. */
export function rejectOnDeath(start: Start): Promise<never> {
  return Promise.race(
    needed(start).map(async ({ child }) => {
      await child.ended;
      throw findDead(start);
    }),
  );
}

function needed(start: Start): { sidecar: Sidecar; child: Child }[] {
  return start.plan.sidecars.flatMap((sidecar) => {
    const child = sidecar.when === 'before' && start.children.find(({ name }) => name === sidecar.name);
    return child ? [{ sidecar, child }] : [];
  });
}

/** Starts a sidecar that needs QEMU; the VM runs on if that fails, and the warning says why. */
export async function startAfter(start: Start, sidecar: Sidecar): Promise<Diagnostic | undefined> {
  try {
    await awaitNeeds(start, sidecar);
    const child = await startSidecar(start, sidecar);
    if (sidecar.ready) await awaitReady(start, sidecar, child);
    else if (await poll(() => child.exit() !== undefined, SETTLING, child.ended)) {
      const exit = child.exit();
      if (exit && (exit.code !== 0 || exit.signal))
        throw failed(sidecar, child, `${sidecar.name} ${describeExit(exit)}${lastWords(child)}`);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof EzvmError)) throw error;
    const [cause] = error.diagnostics;
    return {
      severity: 'warning',
      code: cause?.code ?? 'sidecar-failed',
      message: cause?.code === 'interrupted' ? `${sidecar.name} was not waited for any longer` : error.message,
      help: cause?.help,
      origin: sidecar.origin,
    };
  }
}

async function startSidecar(start: Start, sidecar: Sidecar): Promise<Child> {
  start.progress(`starting ${sidecar.name}`);
  const { name, when } = sidecar;
  const child = await startRecorded(start, name, sidecar.argv);
  const entry = { ...child.identity, name, when, logOffset: child.log.offset };
  record(start, { sidecars: [...start.state.sidecars, entry] });
  await start.step(`${name}: recorded`);
  return child;
}

async function awaitReady(start: Start, sidecar: Sidecar, child: Child): Promise<void> {
  const { ready, name } = sidecar;
  if (!ready) return;
  const looking = poll(() => isListening(ready.socket), ready.timeout * 1000, child.ended);
  const isReady = await start.interruption.race(looking);
  const exit = child.exit();
  if (exit) throw failed(sidecar, child, `${name} ${describeExit(exit)} before it was ready${lastWords(child)}`);
  if (!isReady)
    throw failed(sidecar, child, `${name} did not open ${ready.socket} within ${ready.timeout} s${lastWords(child)}`);
  await start.step(`${name}: ready`);
}

async function awaitNeeds(start: Start, sidecar: Sidecar): Promise<void> {
  const { needs, name } = sidecar;
  if (!needs) return;
  const qemuEnded = Promise.race(start.children.filter((child) => child.name === 'qemu').map((child) => child.ended));
  const [endpoint, look] =
    'socket' in needs
      ? [needs.socket, () => isListening(needs.socket)]
      : [`${needs.host}:${needs.port}`, () => canConnect(needs.host, needs.port)];
  if (await start.interruption.race(poll(look, NEEDS_PATIENCE, qemuEnded))) return;
  throw fault(EXIT.host, 'sidecar-failed', `${name} was not started: nothing answers at ${endpoint}`, {
    origin: sidecar.origin,
  });
}

function failed(sidecar: Sidecar, child: Child, message: string): EzvmError {
  return fault(EXIT.host, 'sidecar-failed', message, {
    help: `all it said is in ${child.log.path}`,
    origin: sidecar.origin,
  });
}

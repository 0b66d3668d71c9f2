import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { canSeeClients, hasClient, isListening } from '../admin/endpoint.ts';
import { describeExit, endPath } from '../admin/exit.ts';
import { lastLines } from '../admin/log.ts';
import { isAlive } from '../admin/process.ts';
import { type Diagnostic, EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import type { Sidecar } from '../plan/plan.ts';
import { type Child, lastWords } from './child.ts';
import { awaitClaim } from './claim.ts';
import { closeHanded, type Handed } from './descriptor.ts';
import { poll } from './poll.ts';
import { canConnect } from './port.ts';
import { record, recordReason, type Start, startRecorded } from './start.ts';

/** What it does not know of is handed to it from here on, so that claims end with it; its watcher closes these. */
const FIRST_CLAIM = 4;
/** Milliseconds that something QEMU opens itself may take to answer. */
const NEEDS_PATIENCE = 10_000;
/** Milliseconds after which a program of which nothing can be seen but its life counts as started. */
const SETTLING = 400;
/** Milliseconds that the word of a program's end may take. */
const HEARING = 1000;
/** Milliseconds that a viewer may take until it is connected. */
const CONNECTING = 10_000;

/**
 * Starts a sidecar that QEMU needs and waits until it is ready.
 * @throws EzvmError exit 3 with what the sidecar said last
 */
export async function startBefore(start: Start, sidecar: Sidecar): Promise<void> {
  const child = await startSidecar(start, sidecar);
  await awaitReady(start, sidecar, child);
}

/** The error that names the first sidecar QEMU needs and that has ended; undefined while all run. */
export async function findDead(start: Start): Promise<EzvmError | undefined> {
  await hearDeaths(start);
  for (const { sidecar, child } of needed(start)) {
    const exit = child.exit();
    const complaint = exit && complaintOf(sidecar, child);
    if (complaint) return complaint;
    if (exit)
      return failed(sidecar, child, `${sidecar.name}, which QEMU needs, ${describeExit(exit)}${lastWords(child)}`);
  }
  return undefined;
}

/** Waits, where a sidecar has just ended, until the parent that watches it has said how. */
async function hearDeaths(start: Start): Promise<void> {
  const silent = needed(start).filter(({ child }) => child.exit() === undefined && !isAlive(child.identity));
  await Promise.all(silent.map(({ child }) => Promise.race([child.ended, sleep(HEARING, undefined, { ref: false })])));
}

/** The error for what a sidecar that QEMU needs complains of in words that its template explains. */
export function findComplaint(start: Start): EzvmError | undefined {
  for (const { sidecar, child } of needed(start)) {
    const complaint = complaintOf(sidecar, child);
    if (complaint) return complaint;
  }
  return undefined;
}

function complaintOf({ complaints = [] }: Sidecar, { log }: Child): EzvmError | undefined {
  const lines = lastLines(log, 30);
  const found = complaints.find(({ says }) => lines.some((line) => line.includes(says)));
  return found && fault(EXIT.host, 'sidecar-failed', found.message, { help: found.help, origin: found.origin });
}

/** Records how sidecars ended that QEMU needs and that did not live until the start was complete. */
export function recordDeaths(start: Start): void {
  for (const { sidecar, child } of needed(start)) {
    const exit = child.exit();
    if (exit) recordReason(start, sidecar.name, describeExit(exit));
  }
}

/** Rejects, with the error that names it, when a sidecar that QEMU needs ends; never resolves. */
export function rejectOnDeath(start: Start): Promise<never> {
  return Promise.race(
    needed(start).map(async ({ child }) => {
      await child.ended;
      throw await findDead(start);
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
export async function startAfter(start: Start, sidecar: Sidecar): Promise<Diagnostic[]> {
  const { name, origin } = sidecar;
  const vm = start.plan.vm.name;
  let child: Child | undefined;
  let warning: Diagnostic | undefined;
  try {
    await awaitNeeds(start, sidecar);
    child = await startSidecar(start, sidecar);
    await awaitShown(start, sidecar, child);
  } catch (error) {
    if (!(error instanceof EzvmError)) throw error;
    const [cause] = error.diagnostics;
    const message = cause?.code === 'interrupted' ? `${name} was not waited for any longer` : error.message;
    const again = child && !child.exit() ? `ezvm restart-sidecar ${vm} ${name}` : `ezvm view ${vm}`;
    const help = [cause?.help, `open it again: ${again}`].filter(Boolean).join('; ');
    warning = { severity: 'warning', code: cause?.code ?? 'sidecar-failed', message, help, origin };
  }
  const exit = child?.exit();
  if (exit) recordReason(start, name, describeExit(exit));
  else if (!child && warning) recordReason(start, name, warning.message.replace(`${name} `, ''));
  return warning ? [warning] : [];
}

/**
 * Waits until a sidecar that needs QEMU is ready, or connected to what it needs, or has ended well.
 * @throws EzvmError exit 3 with what it said last when it ended otherwise, or did not get there in time
 */
export async function awaitShown(start: Start, sidecar: Sidecar, child: Child): Promise<void> {
  const { name, needs } = sidecar;
  if (sidecar.ready) return awaitReady(start, sidecar, child);
  const watched = needs !== undefined && canSeeClients();
  const look = (): boolean => watched && hasClient(needs);
  const connecting = poll(look, watched ? CONNECTING : SETTLING, child.ended);
  const isConnected = await start.interruption.race(connecting);
  const exit = child.exit();
  if (exit && exit.code !== 0) throw failed(sidecar, child, `${name} ${describeExit(exit)}${lastWords(child)}`);
  if (watched && !isConnected && !exit) {
    const late = `has not connected to ${placeOf(needs)} within ${CONNECTING / 1000} s`;
    throw failed(sidecar, child, `${name} runs, but ${late}${lastWords(child)}`);
  }
}

/**
 * Starts the program of a sidecar and records it, in place of an earlier one of that name.
 * @throws EzvmError exit 3 when it cannot be executed, or another VM has what it claims
 */
export async function startSidecar(start: Start, sidecar: Sidecar): Promise<Child> {
  start.progress(`starting ${sidecar.name}`);
  const { name, when, ready } = sidecar;
  // What lies elsewhere does not go with the run directory.
  if (ready && !ready.socket.startsWith(`${start.plan.vm.runDir}/`))
    start.journal.record({ change: 'temporary', path: ready.socket });
  if (sidecar.logins) {
    const { writeLogin } = await import('./login.ts');
    sidecar.logins.forEach(writeLogin);
  }
  const handed = await takeClaims(sidecar, dirname(start.plan.vm.runDir));
  const { wrapper = [], chatter = [] } = sidecar;
  const options = { wrapper, handed, chatter };
  const end = start.stays ? undefined : endPath(start.plan.vm.runDir, name);
  const child = await startRecorded(start, name, sidecar.argv, options, end).finally(() => closeHanded(handed));
  const entry = { ...child.identity, name, when, logOffset: child.log.offset };
  const { [name]: _, ...reasons } = start.state.reasons ?? {};
  record(start, { sidecars: [...start.state.sidecars.filter((one) => one.name !== name), entry], reasons });
  await start.step(`${name}: recorded`);
  return child;
}

async function takeClaims({ claims = [] }: Sidecar, runRoot: string): Promise<Handed[]> {
  const handed: Handed[] = [];
  try {
    for (const claim of claims)
      handed.push({ fd: FIRST_CLAIM + handed.length, from: await awaitClaim(claim, runRoot) });
    return handed;
  } catch (error) {
    closeHanded(handed);
    throw error;
  }
}

/**
 * Waits until a sidecar has opened its socket.
 * @throws EzvmError exit 3 with what it said last when it ended first, or took too long
 */
export async function awaitReady(start: Start, sidecar: Sidecar, child: Child): Promise<void> {
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

/**
 * Waits until something answers where a sidecar wants to connect to.
 * @throws EzvmError exit 3 when nothing does
 */
export async function awaitNeeds(start: Start, sidecar: Sidecar): Promise<void> {
  const { needs, name } = sidecar;
  if (!needs) return;
  const qemuEnded = Promise.race(start.children.filter((child) => child.name === 'qemu').map((child) => child.ended));
  const look = (): boolean | Promise<boolean> =>
    'socket' in needs ? isListening(needs.socket) : canConnect(needs.host, needs.port);
  if (await start.interruption.race(poll(look, NEEDS_PATIENCE, qemuEnded))) return;
  throw fault(EXIT.host, 'sidecar-failed', `${name} was not started: nothing answers at ${placeOf(needs)}`, {
    origin: sidecar.origin,
  });
}

function placeOf(needs: NonNullable<Sidecar['needs']>): string {
  return 'socket' in needs ? needs.socket : `${needs.host}:${needs.port}`;
}

function failed(sidecar: Sidecar, child: Child, message: string): EzvmError {
  return fault(EXIT.host, 'sidecar-failed', message, {
    help: `all it said is in ${child.log.path}`,
    origin: sidecar.origin,
  });
}

import { setTimeout as sleep } from 'node:timers/promises';
import { runFiles } from '../admin/run-dir.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { connectQmp, type QmpClient, QmpError, QmpLost } from '../qemu/qmp.ts';
import { type Child, lastWords } from './child.ts';
import { closeHanded, openDescriptors } from './descriptor.ts';
import { setPasswords } from './password.ts';
import { refusal } from './refusal.ts';
import { findComplaint, findDead, rejectOnDeath } from './sidecar.ts';
import { awaitStandstill } from './standstill.ts';
import { record, type Start, startRecorded } from './start.ts';

/** Pinning and clearing hundreds of gigabytes of guest memory takes minutes. */
const PATIENCE = 300_000;
/** After so many milliseconds without an answer, people are told what it may be. */
const WONDERING = 10_000;
/** From the end of its monitor to the end of QEMU. */
const LAST_BREATH = 5000;

/** What `launch` appends to a plan's argv: QEMU waits, paused, for orders on an inherited descriptor that has no path. */
export function launchArgs(runDir: string): readonly string[] {
  const { pidfile } = runFiles(runDir);
  return ['-S', '-pidfile', pidfile, '-chardev', 'socket,id=ezvm,fd=3', '-qmp', 'chardev:ezvm'];
}

/**
 * Starts QEMU, paused, and waits for its answer: a greeting alone is also sent by a QEMU that is about to refuse a device.
 * @throws EzvmError exit 3 with what QEMU said last and the place in the VM file that asked for it
 */
export async function startQemu(start: Start): Promise<NonNullable<Start['qemu']>> {
  const { vm, qemu, requirements } = start.plan;
  const argv = [...qemu.argv, ...launchArgs(vm.runDir)];
  const terminal = requirements.some((one) => one.kind === 'session' && one.wants === 'terminal');
  start.progress('starting QEMU');
  if (qemu.helper?.grants.some(({ kind }) => kind === 'pci')) {
    const { program, vm } = qemu.helper;
    start.journal.record({ change: 'lent', program, vm });
    await start.step('qemu: lent');
  }
  const handed = openDescriptors(qemu.descriptors, start.claims);
  const options = { channel: true, terminal, handed, wrapper: qemu.wrapper };
  const child = await startRecorded(start, 'qemu', argv, options).finally(() => closeHanded(handed));
  record(start, { qemu: { ...child.identity, argv, logOffset: child.log.offset } });
  await start.step('qemu: recorded');
  const over = new AbortController();
  const wondering = setTimeout(() => start.progress('QEMU has not answered yet'), WONDERING);
  try {
    // Without its TPM, QEMU 7.2 waits for ever instead of saying so.
    const answer = Promise.race([greet(child), rejectOnDeath(start), rejectOnStandstill(start, over.signal)]);
    const qmp = await start.interruption.race(answer);
    await start.step('qemu: ready');
    await setPasswords(qmp, qemu.passwords, PATIENCE);
    return { child, qmp };
  } catch (error) {
    child.channel?.destroy();
    if (!(error instanceof QmpLost)) throw error;
    const exit = await Promise.race([child.ended, sleep(LAST_BREATH, undefined, { ref: false })]);
    const culprit = findComplaint(start) ?? (await findDead(start));
    if (culprit) throw culprit;
    if (exit) throw refusal(start.plan, child, exit);
    throw fault(EXIT.host, 'qemu-silent', `QEMU started but ${error.message}${lastWords(child)}`, {
      help: `all it said is in ${child.log.path}`,
    });
  } finally {
    clearTimeout(wondering);
    over.abort();
  }
}

/** Rejects, with the error that names it, when QEMU can only be waiting for a program that does not answer; else never settles. */
async function rejectOnStandstill(start: Start, over: AbortSignal): Promise<never> {
  const error = start.children.length > 1 ? await awaitStandstill(start, over) : undefined;
  if (error) throw error;
  return new Promise(() => {});
}

/**
 * Lets the guest go.
 * @returns the VM's status as QMP names it, `running` if all is well; `ended` when the guest has already powered itself off
 * @throws EzvmError exit 3 when QEMU refuses or dies
 */
export async function letGo(start: Start, { child, qmp }: NonNullable<Start['qemu']>): Promise<string> {
  await start.step('qemu: continue');
  start.interruption.check();
  const dead = await findDead(start);
  if (dead) throw dead;
  record(start, { phase: 'continuing' });
  await start.step('qemu: continuing');
  try {
    await qmp.execute('cont', undefined, PATIENCE);
    const answer = await qmp.execute('query-status', undefined, PATIENCE);
    await start.step('qemu: continued');
    return (answer as { status: string }).status;
  } catch (error) {
    if (error instanceof QmpError) throw fault(EXIT.host, 'qemu-refused', error.message);
    if (!(error instanceof QmpLost)) throw error;
    const exit = await Promise.race([child.ended, sleep(LAST_BREATH, undefined, { ref: false })]);
    if (exit?.code === 0) return 'ended';
    throw exit ? refusal(start.plan, child, exit) : error;
  }
}

async function greet(child: Child): Promise<QmpClient> {
  if (!child.channel) throw new QmpLost('it has no private monitor');
  const qmp = await connectQmp(child.channel, { timeoutMs: PATIENCE });
  await qmp.execute('query-status', undefined, PATIENCE);
  return qmp;
}

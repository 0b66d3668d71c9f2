import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeExit } from '../admin/exit.ts';
import { endProcess } from '../admin/process.ts';
import { noteEnd } from '../admin/sidecar-end.ts';
import { tidy } from '../admin/tidy.ts';
import type { Sidecar } from '../plan/plan.ts';
import { type Child, lastWords } from './child.ts';
import type { Start } from './start.ts';

/** Guests ignore a power button that is pressed before they look at it. */
const PRESS_AGAIN = 5000;
/** Sidecars end with QEMU; one that is seen to end this much earlier has died by itself. */
const SIMULTANEOUS = 1000;

/**
 * Stays with a VM until QEMU ends, then tidies up. SIGINT, SIGTERM or SIGHUP presses the guest's power button; a second SIGINT
 * or SIGTERM ends QEMU, a third one kills it.
 * @returns QEMU's exit status, 128 + signal number for a violent end
 */
export async function attend(start: Start, progress: (text: string) => void = () => {}): Promise<number> {
  const { plan, interruption, qemu } = start;
  if (!qemu) throw new Error('attend needs a running VM');
  const { child, qmp } = qemu;
  let pressing: NodeJS.Timeout | undefined;
  let asked = 0;
  const ask = (): void => {
    // What is left to tidy up is done to its end.
    if (child.exit()) return;
    asked++;
    if (asked === 1) {
      progress(`shutting ${plan.vm.name} down; a second signal ends it at once`);
      const press = (): void => void qmp.execute('system_powerdown').catch(() => {});
      press();
      pressing = setInterval(press, PRESS_AGAIN);
    } else if (asked === 2) {
      progress('ending QEMU; a third signal kills it');
      qmp.execute('quit').catch(() => {});
    } else void endProcess(child.identity, 0);
  };
  // A terminal that is closed may send it twice, by its shell and by the kernel: nobody asks for haste there.
  const hangUp = (): void => void (asked === 0 && ask());
  const signals = { SIGINT: ask, SIGTERM: ask, SIGHUP: hangUp };
  for (const [signal, act] of Object.entries(signals)) process.on(signal, act);
  if (interruption.reason()) ask();

  for (const sidecar of plan.sidecars) {
    const helper = start.children.find(({ name }) => name === sidecar.name);
    if (!helper) continue;
    void watch(start, sidecar, helper, progress);
    if (sidecar.onClose) void helper.ended.then(({ code }) => code === 0 && asked === 0 && ask());
  }
  try {
    const exit = await child.ended;
    return exit.code ?? 128 + (exit.signal ? constants.signals[exit.signal] : 0);
  } finally {
    clearInterval(pressing);
    for (const other of start.children) other.release();
    await tidy(plan.vm.name, plan.vm.runDir);
    for (const [signal, act] of Object.entries(signals)) process.off(signal, act);
  }
}

async function watch(start: Start, sidecar: Sidecar, helper: Child, progress: (text: string) => void): Promise<void> {
  const qemu = start.qemu?.child;
  const exit = await helper.ended;
  await Promise.race([qemu?.ended, sleep(SIMULTANEOUS, undefined, { ref: false })]);
  if (qemu?.exit()) return;
  if (sidecar.when === 'before')
    progress(`${helper.name}, which the VM needs, ${describeExit(exit)}${lastWords(helper)}`);
  await noteEnd(start.plan.vm, { name: helper.name, pid: helper.identity.pid }, describeExit(exit));
}

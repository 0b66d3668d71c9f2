import { isStopped } from '../admin/process.ts';
import { readState } from '../admin/state.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { findScreenFault } from '../host/session.ts';
import { bootedPlan, endSidecar, reopen, type SidecarTarget } from './reopen.ts';
import { openWatched, type ViewOptions } from './view.ts';

/**
 * Ends a sidecar of a VM that runs, if it lives, and starts it once more.
 * @throws EzvmError exit 2 when the VM has none of that name, 3 when it cannot start, 4 when QEMU cannot do with another
 */
export async function restartSidecar(vm: SidecarTarget, name: string, options: ViewOptions): Promise<void> {
  const plan = bootedPlan(vm);
  const sidecar = plan.sidecars.find((one) => one.name === name);
  if (!sidecar) {
    const names = plan.sidecars.map((one) => one.name).join(', ');
    throw fault(EXIT.usage, 'sidecar-unknown', `VM ${vm.name} has no sidecar ${JSON.stringify(name)}`, {
      help: names === '' ? 'it has none' : `it has ${names}`,
    });
  }
  if (sidecar.when === 'before' && !sidecar.reconnects) {
    const old = readState(vm.runDir)?.sidecars.find((one) => one.name === name);
    throw fault(EXIT.state, 'sidecar-bound', `QEMU does not connect to another ${name} while it runs`, {
      help:
        old && isStopped(old)
          ? `this one is stopped only; let it go on: kill -CONT ${old.pid}`
          : `shut the guest down and start it again: ezvm stop ${vm.name} && ezvm ${vm.name}`,
      origin: sidecar.origin,
    });
  }
  // One that shows something is not ended for another that could not.
  const isShown = plan.requirements.some((one) => one.kind === 'session' && one.by === name);
  const screen = isShown || sidecar.when === 'asked' ? await findScreenFault(options.session) : undefined;
  if (screen)
    throw fault(EXIT.host, 'session-missing', `${name}: ${screen.message}`, {
      help: screen.help,
      origin: sidecar.origin,
    });
  if (sidecar.onClose) {
    await endSidecar(vm, name);
    await openWatched(plan, sidecar, options);
  } else (await reopen(vm, sidecar, { ...options, old: 'end' }))?.child.release();
}

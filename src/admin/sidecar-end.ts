import { existsSync } from 'node:fs';
import { EzvmError } from '../core/diagnostic.ts';
import { type Lock, lockVm } from './lock.ts';
import { readState, type SidecarState, writeState } from './state.ts';

/** Notes how a sidecar of a running VM ended, for `status`, unless another one has taken its place or the VM is gone. */
export async function noteEnd(
  vm: { readonly name: string; readonly runDir: string },
  sidecar: Pick<SidecarState, 'name' | 'pid'>,
  reason: string,
): Promise<void> {
  if (!existsSync(vm.runDir)) return;
  let lock: Lock;
  try {
    lock = await lockVm(vm.name, vm.runDir, 'sidecar');
  } catch (error) {
    // Whoever holds the lock starts or stops the VM: nobody will ask any more.
    if (error instanceof EzvmError) return;
    throw error;
  }
  try {
    const state = readState(vm.runDir);
    if (!state?.sidecars.some(({ name, pid }) => name === sidecar.name && pid === sidecar.pid)) return;
    writeState(vm.runDir, { ...state, reasons: { ...state.reasons, [sidecar.name]: reason } });
  } finally {
    lock.release();
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { activityOf } from '../admin/process.ts';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import type { Start } from './start.ts';

/** Milliseconds in which none of those who could get on does anything. */
const STILL = 8000;
/** Milliseconds from look to look. */
const PACE = 200;

/**
 * Waits until QEMU and the programs that it needs have done nothing at all for a while. Pinning and clearing memory is work,
 * and a disk that answers slowly is waited for in another state, so it waits for one of these programs then.
 * @returns the error that names them, or undefined once `over`
 */
export async function awaitStandstill(start: Start, over: AbortSignal): Promise<EzvmError | undefined> {
  const { children } = start;
  let before = '';
  let since = performance.now();
  while (!over.aborted) {
    const activities = children.map(({ identity }) => activityOf(identity));
    const isBusy = activities.some((one) => one === undefined || 'RD'.includes(one.state));
    const now = isBusy ? '' : activities.map((one) => one?.ticks).join(' ');
    if (now === '' || now !== before) since = performance.now();
    before = now;
    if (performance.now() - since >= STILL) return stuck(start);
    await sleep(PACE, undefined, { ref: false });
  }
  return undefined;
}

function stuck({ children, plan }: Start): EzvmError {
  const sidecars = children.filter(({ name }) => name !== 'qemu');
  const stopped = sidecars.filter(({ identity }) => activityOf(identity)?.state === 'T');
  const names = (stopped.length > 0 ? stopped : sidecars).map(({ name }) => name);
  const end = stopped.length > 0 ? 'is stopped' : 'does not answer';
  return fault(EXIT.host, 'sidecar-failed', `QEMU waits for ${names.join(' or ')}, which ${end}`, {
    help: `what was said is in ${sidecars.map(({ log }) => log.path).join(', ')}`,
    origin: plan.sidecars.find(({ name }) => names.includes(name))?.origin,
  });
}

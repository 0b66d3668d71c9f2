import { readFileSync } from 'node:fs';

/** Whether a setuid program started by this process is setuid: not for root, nor for whom root's ezvm started. */
export function maySetuid(status = '/proc/self/status'): boolean {
  if (process.geteuid?.() === 0) return false;
  try {
    return !/^NoNewPrivs:\t1$/m.test(readFileSync(status, 'latin1'));
  } catch {
    return false;
  }
}

import { constants } from 'node:os';
import { type EzvmError, fault } from '../core/diagnostic.ts';

/** Whether the user wants the start to end, by a signal or by the caller's AbortSignal. */
export interface Interruption {
  readonly reason: () => EzvmError | undefined;
  /** @throws EzvmError exit 128 + signal number */
  check(): void;
  /** `promise`, or the rejection with which an interruption overtakes it. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** Gives the signals back. */
  end(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Watches for SIGINT, SIGTERM, SIGHUP and `abort` until `end` is called. */
export function watchInterruption(name: string, abort: AbortSignal | undefined): Interruption {
  let reason: EzvmError | undefined;
  let reject: (reason: EzvmError) => void = () => {};
  const interrupted = new Promise<never>((_, rejectWith) => {
    reject = rejectWith;
  });
  // Nobody may be waiting when it comes; check() then finds it.
  interrupted.catch(() => {});

  const interrupt = (signal: NodeJS.Signals): void => {
    reason ??= fault(
      128 + (constants.signals[signal] ?? 0),
      'interrupted',
      `the start of VM ${name} was interrupted by ${signal}; what it had done is undone`,
    );
    reject(reason);
  };
  const onAbort = (): void => interrupt('SIGINT');
  for (const signal of SIGNALS) process.on(signal, interrupt);
  abort?.addEventListener('abort', onAbort);
  if (abort?.aborted) onAbort();

  return {
    reason: () => reason,
    check() {
      if (reason) throw reason;
    },
    race: (promise) => Promise.race([promise, interrupted]),
    end() {
      for (const signal of SIGNALS) process.off(signal, interrupt);
      abort?.removeEventListener('abort', onAbort);
    },
  };
}

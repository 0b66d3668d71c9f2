import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Looks again and again until `look` finds what it looks for, or `over` settles, or `timeout` milliseconds have passed.
 * For what the system does not announce: listen(2) changes no file that could be watched.
 */
export async function poll(
  look: () => boolean | Promise<boolean>,
  timeout: number,
  over: Promise<unknown>,
): Promise<boolean> {
  const deadline = performance.now() + timeout;
  let finished = false;
  const finish = (): void => {
    finished = true;
  };
  over.then(finish, finish);
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    if (await look()) return true;
    if (finished || performance.now() >= deadline) return false;
    await Promise.race([sleep(pause), over.then(finish, finish)]);
  }
}

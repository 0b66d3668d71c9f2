import { readFileSync } from 'node:fs';
import { statusOf } from '../../src/admin/status.ts';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Job, Outcome } from './launcher-process.ts';

/** The program that fault tests start and kill: does one launch and prints its outcome as JSON. */
async function main(): Promise<void> {
  const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Job;
  const moments: string[] = [];
  const progress: string[] = [];
  // Racers leave together, whatever time Node took to start.
  while (Date.now() < (job.notBefore ?? 0));
  const finish = (outcome: Outcome): void => {
    process.stdout.write(`${JSON.stringify({ ...outcome, moments, progress })}\n`);
  };
  try {
    const { vm } = job.plan;
    if (job.verb === 'stop') await stop(vm, { force: true });
    if (job.verb === 'status') finish({ condition: (await statusOf(vm.name, vm.runDir)).condition });
    if (job.verb !== undefined) return;
    const { state, warnings, exitStatus } = await launch(job.plan, {
      foreground: job.foreground === true,
      onProgress: (text) => {
        progress.push(text);
        process.stdout.write(`${text}\n`);
      },
      onRunning: () => process.stdout.write('up\n'),
      onStep: async (moment) => {
        moments.push(moment);
        if (moment === job.killAt) process.kill(process.pid, 'SIGKILL');
        if (moment !== job.signalAt) return;
        process.kill(process.pid, 'SIGTERM');
        // Node delivers signals between two turns of its loop.
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      },
    });
    finish({ state, warnings, exitStatus });
    process.exitCode = exitStatus ?? 0;
  } catch (error) {
    if (!(error instanceof EzvmError)) throw error;
    finish({ diagnostics: error.diagnostics });
    process.exitCode = error.exit;
  }
}

void main();

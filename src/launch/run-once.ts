import { existsSync, renameSync, rmSync } from 'node:fs';
import { endProcess } from '../admin/process.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import type { RunOnce } from '../plan/plan.ts';
import { describeExit, lastWords } from './child.ts';
import { type Start, startRecorded } from './start.ts';

/**
 * Runs a program that makes something once.
 * @throws EzvmError exit 3 with what it said last
 */
export async function runOnce(start: Start, { name, argv, environment, makes, help, origin }: RunOnce): Promise<void> {
  if (existsSync(makes.to)) return;
  // Half of what an earlier run made.
  rmSync(makes.from, { force: true });
  start.progress(`running ${name}`);
  const child = await startRecorded(start, name, argv, { environment: { ...start.environment, ...environment } });
  try {
    const exit = await start.interruption.race(child.ended);
    if (exit.code !== 0 || !existsSync(makes.from)) {
      const end = exit.code === 0 ? `did not make ${makes.from}` : describeExit(exit);
      throw fault(EXIT.host, 'program-failed', `${name} ${end}${lastWords(child)}`, { help, origin });
    }
  } finally {
    await endProcess(child.identity);
  }
  renameSync(makes.from, makes.to);
  await start.step(`${name}: done`);
}

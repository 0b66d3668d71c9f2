import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import type { Step } from '../plan/plan.ts';
import { hostFault } from './host-fault.ts';
import { createImage } from './image.ts';
import { makeMemoryFile } from './memory-file.ts';
import { runOnce } from './run-once.ts';
import type { Start } from './start.ts';

/**
 * Makes one of the plan's changes, unless it was made before.
 * @throws EzvmError exit 3 when the host refuses it
 */
export async function perform(start: Start, step: Step): Promise<void> {
  if (step.do === 'mkdir') {
    const doing = `make the directory ${step.path}`;
    await attempt(doing, () => makeDir(start, step.path, step.mode, step.keep));
  } else if (step.do === 'create-image') await attempt(`create the disk ${step.path}`, () => createImage(start, step));
  else if (step.do === 'run') await attempt(`run ${step.name}`, () => runOnce(start, step));
  else if (step.do === 'copy')
    await attempt(`copy ${step.from} to ${step.to}`, () => copyOnce(start, step.from, step.to, step.mode));
  else await attempt(`make the memory file ${step.path}`, () => makeMemoryFile(start, step));
}

async function makeDir(start: Start, path: string, mode: number, keep: boolean): Promise<void> {
  const missing: string[] = [];
  for (let dir = path; !existsSync(dir); dir = dirname(dir)) missing.unshift(dir);
  for (const dir of missing) {
    await start.step(`mkdir ${basename(dir)}: intend`);
    start.journal.record({ change: 'mkdir', path: dir, keep });
    await start.step(`mkdir ${basename(dir)}: make`);
    mkdirSync(dir, { mode: 0o700 });
    await start.step(`mkdir ${basename(dir)}: made`);
  }
  if (missing.length > 0) chmodSync(path, mode);
  else if (!statSync(path).isDirectory())
    throw fault(EXIT.host, 'path-wrong-kind', `${path} is not a directory`, { help: 'move it away' });
}

async function copyOnce(start: Start, from: string, to: string, mode: number): Promise<void> {
  if (existsSync(to)) return;
  const name = basename(to);
  const temporary = `${to}.new`;
  await start.step(`copy ${name}: intend`);
  start.journal.record({ change: 'temporary', path: temporary });
  await start.step(`copy ${name}: copy`);
  copyFileSync(from, temporary, constants.COPYFILE_FICLONE);
  chmodSync(temporary, mode);
  const fd = openSync(temporary, 'r');
  // The copy outlives the VM's run, so a host that loses power must not be left with an empty file of the right name.
  fsyncSync(fd);
  closeSync(fd);
  await start.step(`copy ${name}: rename`);
  renameSync(temporary, to);
  await start.step(`copy ${name}: renamed`);
}

async function attempt(doing: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw hostFault(error, doing);
  }
}

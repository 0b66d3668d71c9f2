import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { untouchedId } from '../admin/undo.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { closeStrays } from '../host/inherited.ts';
import type { CreateImage } from '../plan/plan.ts';
import type { Start } from './start.ts';

/**
 * Makes a disk that is not there; one that is stays as it is, even where it came to be meanwhile.
 * @throws EzvmError exit 3 with what qemu-img says
 */
export async function createImage(start: Start, step: CreateImage): Promise<void> {
  const { path } = step;
  if (step.forOneRun) return createLayer(start, step);
  if (existsSync(path)) return;
  const name = basename(path);
  const temporary = `${path}.ezvm-new`;
  await start.step(`create ${name}: intend`);
  start.journal.record({ change: 'temporary', path: temporary });
  await start.step(`create ${name}: create`);
  start.progress(`creating the disk ${path}`);
  await runQemuImg(start, step, temporary);
  const fd = openSync(temporary, 'r');
  // The disk outlives the VM's run, so a host that loses power must not be left with half a header under its name.
  fsyncSync(fd);
  closeSync(fd);
  start.journal.record({ change: 'file', path, id: untouchedId(temporary) ?? '' });
  await start.step(`create ${name}: rename`);
  publish(temporary, path);
  await start.step(`create ${name}: renamed`);
}

/** What the guest writes in one run; it is written down as something to remove before it is there. */
async function createLayer(start: Start, step: CreateImage): Promise<void> {
  const { path } = step;
  await start.step(`create ${basename(path)}: intend`);
  start.journal.record({ change: 'temporary', path });
  await start.step(`create ${basename(path)}: create`);
  rmSync(path, { force: true });
  await runQemuImg(start, step, path);
}

async function runQemuImg(start: Start, step: CreateImage, to: string): Promise<void> {
  const { path, program, format, size, preallocation, backing, origin } = step;
  const argv = ['create', '-q', '-f', format];
  if (preallocation !== 'off') argv.push('-o', `preallocation=${preallocation}`);
  if (backing) argv.push('-b', backing.path, '-F', backing.format);
  argv.push('--', to);
  if (size !== undefined) argv.push(String(size));
  const { spawn } = await import('node:child_process');
  closeStrays();
  const child = spawn(program, argv, { stdio: ['ignore', 'ignore', 'pipe'], env: start.environment });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-4096);
  });
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject));
  const exit = await endWith(child, start.interruption.race(ended));
  if (exit !== 0)
    throw fault(
      EXIT.host,
      'image-refused',
      `cannot create the disk ${path}: ${said.trim().replace(/^qemu-img: /, '')}`,
      {
        origin,
        help: `try it by hand: qemu-img create -f ${format} FILE SIZE`,
      },
    );
}

/** Setting all blocks of a large disk aside takes minutes, which nobody has to wait for who does not want it any more. */
async function endWith<T>(child: ChildProcess, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } finally {
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

/** Gives a file its name unless there is another of that name; not every file system has links, which cannot overwrite. */
function publish(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (!['EPERM', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    if (!existsSync(path)) renameSync(temporary, path);
  }
  rmSync(temporary, { force: true });
}

import { execFile } from 'node:child_process';
import { EXIT, fault } from '../core/diagnostic.ts';
import { helperSentences, isRootsOrGone } from '../host/helper.ts';

/** Drivers of graphics cards take seconds to start; the helper itself gives up after thirty. */
const PATIENCE = 60_000;

/** What the setuid helper lent to a VM. */
export interface Lent {
  readonly program: string;
  readonly vm: string;
}

/**
 * Has the helper give PCI devices back to the drivers they had; does no harm where nothing is out.
 * @throws EzvmError exit 4 with what the helper says when that cannot be done
 */
export async function giveBack({ program, vm }: Lent): Promise<void> {
  // A guest that owns its QEMU can write into our journal, and would have us start what it likes.
  const said = isRootsOrGone(program) ? await callRelease(program, vm) : `${program} is no setuid program of root's`;
  if (said === undefined) return;
  throw fault(EXIT.state, 'devices-kept', `the PCI devices of VM ${vm} were not given back: ${said}`, {
    help: `when that is mended: ezvm stop ${vm}; or as root: ezvm-priv release`,
  });
}

/** What the helper has against it; undefined when all is back. */
function callRelease(program: string, vm: string): Promise<string | undefined> {
  return new Promise((resolve) =>
    execFile(
      program,
      ['release', `--vm=${vm}`],
      { cwd: '/', env: {}, encoding: 'utf8', timeout: PATIENCE },
      (error, _, stderr) =>
        resolve(
          error === null ? undefined : helperSentences(stderr.split('\n')).join('; ') || reasonOf(program, error),
        ),
    ),
  );
}

function reasonOf(program: string, error: Error): string {
  return 'code' in error && error.code === 'ENOENT'
    ? `the helper ${program} is gone; install it again: sudo ezvm setup helper --apply`
    : error.message;
}

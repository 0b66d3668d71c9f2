import { execFile } from 'node:child_process';
import { EXIT, fault } from '../core/diagnostic.ts';
import { helperSentences } from '../host/helper.ts';

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
  const said = await new Promise<string | undefined>((resolve) =>
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
  if (said === undefined) return;
  throw fault(EXIT.state, 'devices-kept', `the PCI devices of VM ${vm} were not given back: ${said}`, {
    help: `when that is mended: ezvm stop ${vm}; or as root: ${program} release`,
  });
}

function reasonOf(program: string, error: Error): string {
  return 'code' in error && error.code === 'ENOENT'
    ? `the helper ${program} is gone; install it again: sudo ezvm setup helper --apply`
    : error.message;
}

import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { LEAVE } from '../admin/monitor.ts';
import type { CliContext } from './context.ts';

/** Writes what a child says where we say things ourselves, so that it need not have our files open. */
export function relayOutput({ stdout, stderr }: ChildProcess, { out, err }: Pick<CliContext, 'out' | 'err'>): void {
  stdout?.setEncoding('utf8').on('data', out);
  stderr?.setEncoding('utf8').on('data', err);
}

/** Passes on what is typed, key by key, until Ctrl-] or the end. */
export function relayInput(to: Writable): void {
  const { stdin } = process;
  // It may end before what is typed does.
  to.on('error', closeInput);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('data', (bytes: Buffer) => {
    const end = stdin.isTTY ? bytes.indexOf(LEAVE) : -1;
    if (end < 0) to.write(bytes);
    else to.end(bytes.subarray(0, end));
  });
  stdin.once('end', () => to.end());
}

/** Gives the terminal back as it was. */
export function closeInput(): void {
  const { stdin } = process;
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.pause();
}

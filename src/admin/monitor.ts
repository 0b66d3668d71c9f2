import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { EXIT, fault } from '../core/diagnostic.ts';
import { type QmpTarget, runQmp } from './qmp.ts';

/** A VM as far as its human monitor is concerned; `Plan.vm` is one. */
export interface MonitorTarget {
  readonly name: string;
  readonly monitorSocket: string;
}

/** A terminal, or pipes that stand in for one. */
export interface MonitorTerminal {
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  readonly output: Writable;
}

/** Ctrl-], as telnet has it: QEMU's line editor uses the other control keys. */
export const LEAVE = 0x1d;
const PATIENCE = 5000;

/**
 * Runs one command of the human monitor and gives what it prints, with plain line ends.
 * @throws EzvmError exit 4 when the monitor is gone or busy
 */
export async function runMonitor(vm: QmpTarget, command: string): Promise<string> {
  const text = await runQmp(vm, 'human-monitor-command', { 'command-line': command });
  return String(text).replaceAll('\r\n', '\n');
}

/**
 * Connects a terminal with the human monitor until Ctrl-] is pressed, the input ends, or QEMU does.
 * @throws EzvmError exit 4 when the monitor is gone, or silent because another client holds it
 */
export async function attachMonitor(vm: MonitorTarget, terminal: MonitorTerminal): Promise<void> {
  const { input, output } = terminal;
  const socket = connect(vm.monitorSocket);
  const refused = (why: string): Error =>
    fault(EXIT.state, 'monitor-lost', `the monitor of VM ${vm.name} ${why}`, {
      help: `see: ezvm status ${vm.name}`,
    });

  await new Promise<void>((resolve, reject) => {
    let greeted = false;
    socket.setTimeout(PATIENCE, () => {
      if (!greeted) reject(refused('says nothing; it serves one client at a time and is busy'));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (greeted) resolve();
      else reject(refused(`cannot be reached: ${error.message}`));
    });
    socket.once('close', () => (greeted ? resolve() : reject(refused('closed at once'))));
    socket.once('data', () => {
      greeted = true;
      socket.setTimeout(0);
      input.setRawMode?.(true);
      input.on('data', send);
      input.once('end', () => socket.end());
    });
    socket.on('data', (chunk) => output.write(chunk));
    function send(chunk: Buffer | string): void {
      const bytes = Buffer.from(chunk);
      const end = input.isTTY ? bytes.indexOf(LEAVE) : -1;
      socket.write(end < 0 ? bytes : bytes.subarray(0, end));
      if (end >= 0) resolve();
    }
    socket.once('close', () => input.off('data', send));
  }).finally(() => {
    input.setRawMode?.(false);
    input.pause();
    socket.destroy();
  });
}

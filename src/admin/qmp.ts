import { connect } from 'node:net';
import { EXIT, type EzvmError, fault } from '../core/diagnostic.ts';
import { connectQmp, type QmpClient, QmpError, QmpLost } from '../qemu/qmp.ts';

/** A VM as far as its QMP monitor is concerned; `Plan.vm` is one. */
export interface QmpTarget {
  readonly name: string;
  readonly qmpSocket: string;
}

/** Milliseconds an answer from a healthy QEMU may take. */
const PATIENCE = 5000;

/**
 * Runs one QMP command and gives its answer.
 * @throws EzvmError exit 4 when the monitor is gone or busy, exit 2 when QEMU refuses the command
 */
export async function runQmp(vm: QmpTarget, command: string, args?: object, timeoutMs = PATIENCE): Promise<unknown> {
  try {
    return await withQmp(vm, (client) => client.execute(command, args, timeoutMs), timeoutMs);
  } catch (error) {
    throw error instanceof QmpError ? refused(vm, error) : error;
  }
}

/**
 * Opens the VM's QMP monitor for as long as `use` takes; nobody else can use it meanwhile.
 * @throws EzvmError exit 4 when the monitor is gone, busy or silent; QmpError when QEMU refuses a command
 */
export async function withQmp<T>(
  vm: QmpTarget,
  use: (client: QmpClient) => Promise<T>,
  timeoutMs = PATIENCE,
): Promise<T> {
  let client: QmpClient | undefined;
  try {
    client = await connectQmp(connect(vm.qmpSocket), { timeoutMs });
    return await use(client);
  } catch (error) {
    throw error instanceof QmpLost ? lost(vm, error) : error;
  } finally {
    client?.close();
  }
}

function lost(vm: QmpTarget, error: QmpLost): EzvmError {
  if (error.silent)
    return fault(EXIT.state, 'qemu-hung', `QEMU of VM ${vm.name} hangs: ${error.message}`, {
      help: `see: ezvm status ${vm.name}, or end it without asking: ezvm stop --force ${vm.name}`,
    });
  return fault(EXIT.state, 'monitor-lost', `no answer from the QMP monitor of VM ${vm.name}: ${error.message}`, {
    help: `another program may hold ${vm.qmpSocket}; see: ezvm status ${vm.name}`,
  });
}

function refused(vm: QmpTarget, error: QmpError): EzvmError {
  const help = error.class === 'CommandNotFound' ? `all commands: ezvm qmp ${vm.name} query-commands` : undefined;
  return fault(EXIT.usage, 'qmp-refused', error.message, { help });
}

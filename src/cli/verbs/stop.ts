import { EXIT, fault } from '../../core/diagnostic.ts';
import { stop } from '../../launch/stop.ts';
import { progressOf } from '../context.ts';
import { OWNER_FLAG } from '../roots-flags.ts';
import { resolveVm } from '../running.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'stop NAME|FILE',
  summary: "Presses the VM's power button, waits until the guest has shut down, and tidies up.",
  example: 'ezvm stop windows-11 --timeout 300',
  flags: {
    force: { type: 'boolean', help: 'do not ask the guest; what it has not saved is lost' },
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: "how long the guest may take; the VM's run.stop-timeout unless given",
    },
    ...OWNER_FLAG,
  },
  forOwner: true,
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const timeout = flags['timeout'];
    if (typeof timeout === 'string' && !/^\d{1,6}$/.test(timeout))
      throw fault(EXIT.usage, 'timeout-wrong', `--timeout ${timeout} is no number of seconds`);
    const vm = await resolveVm(ref, context);
    await stop(vm, {
      force: flags['force'] === true,
      ...(typeof timeout === 'string' && { timeoutMs: Number(timeout) * 1000 }),
      ...progressOf(context),
    });
    context.err(`${vm.name} is stopped\n`);
    return EXIT.ok;
  },
};

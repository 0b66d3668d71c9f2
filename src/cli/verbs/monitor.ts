import { attachMonitor, runMonitor } from '../../admin/monitor.ts';
import { EXIT } from '../../core/diagnostic.ts';
import { SHOWN } from '../context.ts';
import { bootedVm } from '../running.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'monitor NAME [COMMAND…]',
  summary: "Runs one command of QEMU's human monitor, or connects this terminal to it; Ctrl-] leaves it again.",
  example: 'ezvm monitor windows-11 info block',
  flags: {},
  forOwner: true,
  words: [1, Number.POSITIVE_INFINITY],
  raw: true,
  async run([ref = '', ...command], _, context) {
    const vm = await bootedVm(ref, context);
    if (command.length > 0) {
      context.out(await runMonitor(vm, command.join(' ')));
      return EXIT.ok;
    }
    if (process.stdin.isTTY || context.env[SHOWN] === '1') context.err(`monitor of ${vm.name}; leave it with Ctrl-]\n`);
    await attachMonitor(vm, { input: process.stdin, output: process.stdout });
    return EXIT.ok;
  },
};

import { EXIT } from '../../core/diagnostic.ts';
import { findSession } from '../../host/session.ts';
import { restartSidecar } from '../../launch/restart.ts';
import { progressOf } from '../context.ts';
import { ezvmArgv } from '../ezvm-argv.ts';
import { OWNER_FLAG } from '../roots-flags.ts';
import { resolveVm } from '../running.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'restart-sidecar NAME|FILE SIDECAR',
  summary: 'Starts a program beside a running VM once more, where QEMU can do with that; `ezvm status` names them.',
  example: 'ezvm restart-sidecar windows-11 looking-glass-client',
  flags: OWNER_FLAG,
  forOwner: true,
  words: [2, 2],
  async run([ref = '', sidecar = ''], _, context) {
    const vm = await resolveVm(ref, context);
    await restartSidecar(vm, sidecar, {
      session: findSession(context.env),
      ezvm: ezvmArgv(context),
      ...progressOf(context),
    });
    context.err(`${sidecar} of ${vm.name} is running\n`);
    return EXIT.ok;
  },
};

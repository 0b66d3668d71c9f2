import { EXIT } from '../../core/diagnostic.ts';
import { findSession } from '../../host/session.ts';
import { view } from '../../launch/view.ts';
import { progressOf } from '../context.ts';
import { ezvmArgv } from '../ezvm-argv.ts';
import { OWNER_FLAG } from '../roots-flags.ts';
import { resolveVm } from '../running.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'view NAME|FILE',
  summary: 'Opens the viewer of a VM that runs: the SPICE or VNC viewer, or the Looking Glass client.',
  example: 'ezvm view windows-11',
  flags: { foreground: { type: 'boolean', short: 'f', help: 'stay until the viewer is closed' }, ...OWNER_FLAG },
  forOwner: true,
  words: [1, 1],
  async run([ref = ''], flags, context) {
    const vm = await resolveVm(ref, context);
    const { opened, kept } = await view(vm, {
      session: findSession(context.env),
      ezvm: ezvmArgv(context),
      foreground: flags['foreground'] === true,
      ...progressOf(context),
    });
    if (opened.length === 0) context.err(`the viewer of ${vm.name} is open already\n`);
    for (const name of kept) context.err(`  where it shows nothing: ezvm restart-sidecar ${vm.name} ${name}\n`);
    return EXIT.ok;
  },
};

import { type Diagnostic, EXIT } from '../../core/diagnostic.ts';
import { type Launched, launch } from '../../launch/launch.ts';
import type { Plan } from '../../plan/plan.ts';
import { type CliContext, progressOf } from '../context.ts';
import { ezvmArgv } from '../ezvm-argv.ts';
import { makePlan } from '../pipeline.ts';
import { printable } from '../print/diagnostics.ts';
import { refuseRootsFlags } from '../roots-flags.ts';
import { PLAN_FLAGS, type Verb } from '../verb.ts';

const { set } = PLAN_FLAGS;

export const verb: Verb = {
  usage: 'start FILE|NAME',
  summary: 'Starts a VM and returns when it runs. `ezvm FILE` does the same.',
  example: 'ezvm windows-11.yaml',
  flags: {
    set,
    foreground: { type: 'boolean', short: 'f', help: 'stay until the VM ends; Ctrl-C shuts it down' },
    user: { type: 'string', value: 'NAME', help: 'for root: the user to run it as; who called sudo unless given' },
    'i-know-qemu-runs-as-root': { type: 'boolean', help: 'for root: run QEMU as root, without its capabilities' },
  },
  words: [1, 1],
  async run([ref = ''], flags, context) {
    if (process.geteuid?.() === 0) {
      const { startAsTarget } = await import('../hand-over.ts');
      const exit = await startAsTarget(ref, flags, context);
      if (exit !== undefined) return exit;
    } else refuseRootsFlags(flags);
    const { plan, facts } = await makePlan(ref, flags, context);
    context.report(plan.notes);
    const launched = await launch(plan, {
      foreground: flags['foreground'] === true,
      session: facts.session,
      ezvm: ezvmArgv(context),
      ...progressOf(context),
      onRunning: (running) => tell(plan, running, context),
    });
    if (flags['foreground'] !== true || launched.exitStatus === undefined) tell(plan, launched, context);
    return launched.exitStatus ?? EXIT.ok;
  },
};

function tell(plan: Plan, { state, warnings, exitStatus }: Launched, context: CliContext): void {
  const { name } = plan.vm;
  context.report(warnings.filter((warning: Diagnostic) => !plan.notes.includes(warning)));
  if (exitStatus !== undefined) context.err(`${name} has already ended\n`);
  else {
    const isAsked = plan.sidecars.some(({ when }) => when === 'asked');
    const verbs = ['status', ...(isAsked ? ['view'] : []), 'monitor', 'stop'];
    context.err(
      `${name} is running (pid ${state.qemu?.pid})\n  ${verbs.map((one) => `ezvm ${one} ${name}`).join(' · ')}\n${plan.guest.map((text) => `  in the guest: ${printable(text)}\n`).join('')}`,
    );
  }
}

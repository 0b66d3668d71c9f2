import type { Diagnostic } from '../core/diagnostic.ts';
import { hasHandler } from '../host/handler.ts';
import { findBusFault, findScreenFault, type SessionFault } from '../host/session.ts';
import type { RequirementOf } from '../plan/plan.ts';

/** Where a plan is to be started, as far as the plan itself does not say. */
export interface Surroundings {
  /** Variables of the graphical session. */
  readonly session: { readonly [variable: string]: string };
  /** Whether QEMU would have a terminal to draw on; undefined where that shows only later. */
  readonly terminal?: boolean;
}

/** Whether what is wanted of a session is there. */
export async function checkSession(
  { wants, by, optional, help, origin }: RequirementOf<'session'>,
  { session, terminal }: Surroundings,
): Promise<Diagnostic | undefined> {
  const fault =
    wants === 'screen'
      ? await findScreenFault(session)
      : wants === 'bus'
        ? await findBusFault(session)
        : await findOtherFault(wants);
  if (!fault || (wants === 'terminal' && terminal !== false)) return undefined;
  const severity = optional ? 'warning' : 'error';
  const message = `${by}: ${fault.message}${optional ? '; the VM starts without it' : ''}`;
  return { severity, code: 'session-missing', message, help: help ?? fault.help, origin };
}

function findOtherFault(wants: 'terminal' | 'spice-handler'): SessionFault | undefined {
  if (wants === 'terminal') return NO_TERMINAL;
  return hasHandler('spice+unix', process.env) ? undefined : NO_HANDLER;
}

const NO_HANDLER: SessionFault = {
  message: 'the desktop has no program for addresses that begin with spice+unix',
  help: 'install the packages virt-viewer and desktop-file-utils, or write `display: spice`, which needs no such address',
};

const NO_TERMINAL: SessionFault = {
  message: 'it draws on the terminal, and a VM in the background has none',
  help: 'start it in a terminal with --foreground, not as root, and its output not redirected',
};

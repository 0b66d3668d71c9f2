import { homedir } from 'node:os';
import { readBootedPlan } from '../admin/state.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { findDirs } from '../host/dirs.ts';
import { isFileRef } from '../input/locate.ts';
import type { PlannedVm } from '../plan/plan.ts';
import type { CliContext } from './context.ts';

/** A VM as the administering verbs name it: it need not run, and its file need not exist any more. */
export interface VmRef {
  readonly name: string;
  readonly runDir: string;
}

/** Where this user's VMs have their run directories. */
export function runRoot(context: CliContext): string {
  return findDirs(context.env, { uid: process.geteuid?.() ?? 0, home: context.env['HOME'] ?? homedir() }).run;
}

/** The VM that a name or a VM file means. */
export async function resolveVm(ref: string, context: CliContext): Promise<VmRef> {
  const name = isFileRef(ref) ? await nameIn(ref, context) : ref;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw fault(EXIT.usage, 'name-refused', `${JSON.stringify(name)} is no VM name`);
  return { name, runDir: `${runRoot(context)}/${name}` };
}

/**
 * What was planned for a running VM when it was started.
 * @throws EzvmError (wrong state) when it is not running
 */
export async function bootedVm(ref: string, context: CliContext): Promise<PlannedVm> {
  const { name, runDir } = await resolveVm(ref, context);
  const plan = readBootedPlan(runDir);
  if (!plan) throw fault(EXIT.state, 'vm-down', `VM ${name} is not running`, { help: 'see what runs: ezvm status' });
  return plan.vm;
}

async function nameIn(file: string, context: CliContext): Promise<string> {
  const { loadModel } = await import('./model.ts');
  return (await loadModel(file, {}, context)).spec.name;
}

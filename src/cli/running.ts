import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { refuseForeign } from '../admin/run-dir.ts';
import { cutOff, findRunning } from '../admin/running-note.ts';
import { readBootedPlan } from '../admin/state.ts';
import { isVmName } from '../catalog/vm-name.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { isFileRef, listVmFiles, locate } from '../input/locate.ts';
import type { PlannedVm } from '../plan/plan.ts';
import type { CliContext } from './context.ts';
import { dirsOf } from './dirs.ts';

/** A VM as the administering verbs name it: it need not run, and its file need not exist any more. */
export interface VmRef {
  readonly name: string;
  readonly runDir: string;
}

/**
 * Where this user's VMs have their run directories.
 * @throws EzvmError exit 3 where somebody else could have put something there
 */
export function runRoot(context: CliContext): string {
  const { run } = dirsOf(context);
  refuseForeign(run);
  return run;
}

/** The VM that a name or a VM file means. @throws EzvmError exit 1 where no VM is called so */
export async function resolveVm(ref: string, context: CliContext): Promise<VmRef> {
  if (isFileRef(ref)) return resolveFile(ref, context);
  const name = ref;
  if (!isVmName(name)) throw fault(EXIT.usage, 'name-refused', `${JSON.stringify(name)} is no VM name`);
  const runDir = findRunDir(name, context);
  if (existsSync(runDir)) return { name, runDir };
  // The file that `ezvm NAME` starts may give its VM another name.
  const { config, state } = dirsOf(context);
  const file = listVmFiles(context.cwd, config).find(({ stem }) => stem === name);
  if (file) return resolveFile(file.absolute, context);
  // One that was started by its file's path has left its state.
  if (!existsSync(`${state}/${name}`)) locate(name, context.cwd, config);
  return { name, runDir };
}

/**
 * Where a VM's sockets are, or would be. One that was started from another login has them where its state says.
 * @throws EzvmError exit 4 where it runs and its sockets are gone
 */
function findRunDir(name: string, context: CliContext): string {
  const runDir = `${runRoot(context)}/${name}`;
  if (existsSync(runDir)) return runDir;
  const note = findRunning(`${dirsOf(context).state}/${name}`);
  if (!note) return runDir;
  if (!existsSync(note.runDir)) throw cutOff(name, note);
  refuseForeign(dirname(note.runDir));
  return note.runDir;
}

/** Another VM of the same name may run, which is not the one that is meant. */
async function resolveFile(ref: string, context: CliContext): Promise<VmRef> {
  const { loadModel } = await import('./model.ts');
  const { name, file } = (await loadModel(ref, {}, context)).spec;
  const runDir = findRunDir(name, context);
  const booted = readBootedPlan(runDir)?.vm.file;
  if (booted !== undefined && booted !== file)
    throw fault(EXIT.state, 'vm-other', `the VM ${name} that runs was started from ${booted}, not from ${ref}`, {
      help: `to speak of that one, say its name: ${name}`,
    });
  return { name, runDir };
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

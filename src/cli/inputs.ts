import type { HostDirs } from '../host/facts.ts';
import { locate, type VmPath } from '../input/locate.ts';
import { exists, readText } from '../input/read.ts';
import { findSettings, type SettingsFile } from '../input/settings.ts';
import type { CliContext } from './context.ts';
import { dirsOf, homeOf } from './dirs.ts';
import type { Flags } from './verb.ts';

/** Everything that decides what a VM is, but for the host: the same inputs make the same VM. */
export interface Inputs {
  readonly vm: VmPath;
  readonly text: string;
  readonly settings: readonly SettingsFile[];
  /** Folders of templates beside the package's own, weakest first. */
  readonly templates: readonly string[];
  readonly sets: readonly string[];
  readonly cwd: string;
  readonly home: string;
  readonly dirs: HostDirs;
}

/**
 * Finds and reads what makes a VM.
 * @param ref a file or a VM's name
 * @throws EzvmError when something cannot be read or may not be trusted
 */
export function readInputs(ref: string, flags: Flags, context: CliContext): Inputs {
  const dirs = dirsOf(context);
  const vm = locate(ref, context.cwd, dirs.config);
  return {
    vm,
    text: readText(vm.absolute, vm.shown),
    settings: ['/etc/ezvm', dirs.config].flatMap((dir) => findSettings(dir, process.geteuid?.() ?? 0) ?? []),
    templates: templateDirs(dirs),
    sets: (flags['set'] ?? []) as readonly string[],
    cwd: context.cwd,
    home: homeOf(context),
    dirs,
  };
}

/** Folders of templates beside the package's own, weakest first; as root, none that an ordinary user can write. */
export function templateDirs(dirs: HostDirs): string[] {
  const isRoot = (process.geteuid?.() ?? 0) === 0;
  return ['/etc/ezvm/templates', ...(isRoot ? [] : [`${dirs.config}/templates`])].filter(exists);
}

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
  const euid = process.geteuid?.() ?? 0;
  const dirs = dirsOf(context);
  const vm = locate(ref, context.cwd, dirs.config);
  // As root, nothing that an ordinary user can write decides what is started.
  const templates = ['/etc/ezvm/templates', ...(euid === 0 ? [] : [`${dirs.config}/templates`])];
  return {
    vm,
    text: readText(vm.absolute, vm.shown),
    settings: ['/etc/ezvm', dirs.config].flatMap((dir) => findSettings(dir, euid) ?? []),
    templates: templates.filter(exists),
    sets: (flags['set'] ?? []) as readonly string[],
    cwd: context.cwd,
    home: homeOf(context),
    dirs,
  };
}

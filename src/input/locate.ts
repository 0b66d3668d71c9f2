import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { isVmName } from '../catalog/vm-name.ts';
import { EXIT, fault } from '../core/diagnostic.ts';
import { nearest } from '../core/nearest.ts';
import { look } from './read.ts';

/** A VM file that is there. */
export interface VmPath {
  /** As the user would write it; messages show this. */
  readonly shown: string;
  readonly absolute: string;
  /** The file's name without `.yaml`, which names the VM unless the file does. */
  readonly stem: string;
}

const ENDING = /\.ya?ml$/;

/** Whether an argument is a file rather than the name of a VM. */
export function isFileRef(ref: string): boolean {
  return ref.includes('/') || ENDING.test(ref);
}

/**
 * Finds the VM file that `ref` means: a path if it has a slash or ends in .yaml, else a name that is looked for as
 * `<name>.yaml` in the working directory, the user's VMs and the host's.
 * @throws EzvmError with every path that was tried
 */
export function locate(ref: string, cwd: string, userConfig: string): VmPath {
  if (isFileRef(ref)) return found(ref, cwd);
  if (!isVmName(ref))
    throw fault(EXIT.usage, 'name-refused', `${JSON.stringify(ref)} is no VM name`, {
      help: 'a name has letters, digits and . _ - only; to give a file, write ./FILE or a name ending in .yaml',
    });
  const candidates = [`${ref}.yaml`, `${userConfig}/vms/${ref}.yaml`, `/etc/ezvm/vms/${ref}.yaml`];
  const hit = candidates.find((path) => {
    const stat = look(resolve(cwd, path));
    return typeof stat === 'object' && stat.isFile();
  });
  if (hit !== undefined) return found(hit, cwd);
  const near = nearest(
    ref,
    listVmFiles(cwd, userConfig).map(({ stem }) => stem),
  );
  throw fault(EXIT.config, 'file-missing', `there is no VM ${ref}`, {
    help: near === undefined ? `looked for ${candidates.join(', ')}` : `did you mean ${near}?`,
  });
}

function found(path: string, cwd: string): VmPath {
  const absolute = isAbsolute(path) ? path : resolve(cwd, path);
  const stat = look(absolute);
  if (stat === undefined) {
    const near = nearest(basename(path), yamlFilesIn(dirname(absolute)));
    const name = near === undefined || !path.includes('/') ? near : `${dirname(path)}/${near}`;
    throw fault(EXIT.config, 'file-missing', `there is no file ${path}`, { help: name && `did you mean ${name}?` });
  }
  if (typeof stat === 'string') throw fault(EXIT.config, 'file-unreadable', `${path} cannot be looked at: ${stat}`);
  if (!stat.isFile())
    throw fault(
      EXIT.config,
      'file-wrong',
      `${path} is ${stat.isDirectory() ? 'a directory' : 'no ordinary file'}; a VM file is wanted`,
    );
  // The package's own templates are shown so, and what a VM file says must never pass for what ezvm chose.
  const shown = path.startsWith('templates/') ? `./${path}` : path;
  return { shown, absolute, stem: basename(absolute).replace(ENDING, '') };
}

/** VM files that `locate` would find by name, nearest first; one that hides another is listed alone. */
export function listVmFiles(cwd: string, userConfig: string): VmPath[] {
  const byStem = new Map<string, VmPath>();
  for (const [dir, prefix] of [
    [cwd, ''],
    [`${userConfig}/vms`, `${userConfig}/vms/`],
    ['/etc/ezvm/vms', '/etc/ezvm/vms/'],
  ] as const)
    for (const name of yamlFilesIn(dir)) {
      const stem = name.replace(ENDING, '');
      if (!isVmName(stem)) continue;
      // The working directory may hold YAML files of all kinds; the others hold VMs only.
      if (!byStem.has(stem) && (dir !== cwd || choosesTemplate(`${dir}/${name}`)))
        byStem.set(stem, { shown: `${prefix}${name}`, absolute: `${dir}/${name}`, stem });
    }
  return [...byStem.values()].toSorted((a, b) => (a.stem < b.stem ? -1 : 1));
}

function yamlFilesIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.yaml'))
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function choosesTemplate(path: string): boolean {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size < 65536 && /^template\s*:/m.test(readFileSync(path, 'utf8'));
  } catch {
    return false;
  }
}

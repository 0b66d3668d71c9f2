import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Diagnostic } from '../core/diagnostic.ts';
import { isRecord } from '../core/json.ts';
import type { FirmwareDescriptor } from './facts.ts';
import { probePath } from './paths.ts';
import { namesIn } from './reading.ts';

/** From general to specific; a user's own come after these. QEMU's docs/interop/firmware.json says why. */
export const FIRMWARE_DIRS: readonly string[] = ['/usr/share/qemu/firmware', '/etc/qemu/firmware'];

/**
 * Reads QEMU's firmware descriptors from `dirs`, in order of preference. A file in a later directory replaces its namesake
 * in an earlier one, and takes it away when empty. What is no descriptor is left out with a warning.
 */
export function readFirmware(dirs: readonly string[]): {
  readonly descriptors: readonly FirmwareDescriptor[];
  readonly diagnostics: readonly Diagnostic[];
} {
  const files = new Map<string, string>();
  for (const dir of dirs)
    for (const name of namesIn(dir))
      if (name.endsWith('.json') && !name.startsWith('.')) files.set(name, join(dir, name));
  const descriptors: FirmwareDescriptor[] = [];
  const diagnostics: Diagnostic[] = [];
  const names = [...files.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const file of names.map((name) => files.get(name) as string)) {
    const read = readDescriptor(file);
    if (typeof read === 'string')
      diagnostics.push({
        severity: 'warning',
        code: 'firmware-descriptor-invalid',
        message: `${file} is no firmware descriptor and was left out: ${read}`,
        help: 'mend it, or hide it with an empty file of the same name in /etc/qemu/firmware',
      });
    else if (read) descriptors.push(read, ...smallerOf(read));
  }
  return { descriptors, diagnostics };
}

/** The descriptor; undefined for a mask, or for a kind of firmware that ezvm has no use for; else what is wrong with it. */
function readDescriptor(file: string): FirmwareDescriptor | string | undefined {
  let root: unknown;
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    // A link to /dev/null masks as an empty file does.
    if (!found || found.isCharacterDevice() || (found.isFile() && found.size === 0)) return undefined;
    if (!found.isFile()) return 'it is not a regular file';
    root = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return (error as Error).message;
  }
  if (!isRecord(root)) return 'it is not a JSON object';
  const { 'interface-types': interfaces, mapping, targets, features } = root;
  if (!isStrings(interfaces)) return 'interface-types is not a list of words';
  if (!isStrings(features)) return 'features is not a list of words';
  if (!Array.isArray(targets) || !targets.every(isTarget)) return 'targets is not a list of architectures and machines';
  if (!isRecord(mapping)) return 'mapping is missing';
  const common = {
    file,
    interfaces,
    targets: targets.map(({ architecture, machines }) => ({ architecture, machines })),
    features,
  };
  if (mapping['device'] === 'flash') return readFlash(mapping, common);
  if (mapping['device'] !== 'memory') return undefined;
  if (typeof mapping['filename'] !== 'string') return 'mapping.filename is missing';
  return { ...common, executable: mapping['filename'], executableFormat: 'raw', mode: 'memory' };
}

function readFlash(
  mapping: Record<string, unknown>,
  common: Pick<FirmwareDescriptor, 'file' | 'interfaces' | 'targets' | 'features'>,
): FirmwareDescriptor | string {
  const { executable, 'nvram-template': template, mode = 'split' } = mapping;
  if (!isImage(executable)) return 'mapping.executable is not a file name and a format';
  if (mode !== 'split' && mode !== 'combined' && mode !== 'stateless')
    return `mapping.mode ${JSON.stringify(mode)} is unknown`;
  const image = { ...common, executable: executable.filename, executableFormat: executable.format, mode } as const;
  if (mode !== 'split') return image;
  if (!isImage(template)) return 'mapping.nvram-template is not a file name and a format';
  return withSizes({ ...image, nvramTemplate: template.filename, nvramFormat: template.format });
}

/**
 * The same firmware of 2 MiB, which Debian keeps for old variable stores beside that of 4 MiB and has no descriptor for: it
 * is called the same without `_4M`.
 */
function smallerOf(descriptor: FirmwareDescriptor): FirmwareDescriptor[] {
  const { executable, nvramTemplate = '', executableSize: _, nvramSize: __, ...rest } = descriptor;
  const [code = '', vars = ''] = [executable, nvramTemplate].map((path) => path.replace('_4M.', '.'));
  if (code === executable || vars === nvramTemplate || !existsSync(code) || !existsSync(vars)) return [];
  return [withSizes({ ...rest, executable: code, nvramTemplate: vars })];
}

function withSizes(descriptor: FirmwareDescriptor): FirmwareDescriptor {
  const executableSize = sizeOf(descriptor.executable, descriptor.executableFormat);
  const nvramSize = sizeOf(descriptor.nvramTemplate ?? '', descriptor.nvramFormat);
  return {
    ...descriptor,
    ...(executableSize !== undefined && { executableSize }),
    ...(nvramSize !== undefined && { nvramSize }),
  };
}

/** As the guest sees it. Most images are raw: opening a dozen of them would be felt at every start. */
function sizeOf(path: string, format: string | undefined): number | undefined {
  try {
    return format === 'raw' ? statSync(path, { throwIfNoEntry: false })?.size : probePath(path).virtualSize;
  } catch {
    return undefined;
  }
}

function isImage(value: unknown): value is { filename: string; format: string } {
  return isRecord(value) && typeof value['filename'] === 'string' && typeof value['format'] === 'string';
}

function isTarget(value: unknown): value is { architecture: string; machines: string[] } {
  return isRecord(value) && typeof value['architecture'] === 'string' && isStrings(value['machines']);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === 'string');
}

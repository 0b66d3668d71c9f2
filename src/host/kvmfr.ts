import { accessSync, constants, existsSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { formatSize } from '../core/size.ts';
import { namesIn, textIn } from './reading.ts';

/** What is wrong with Looking Glass's memory. */
export interface KvmfrFault {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly help: string;
}

const MIB = 1024 * 1024;

/** Where modprobe reads its options; of files with one name the first place has the say. */
const MODPROBE_DIRS = ['etc', 'run', 'usr/local/lib', 'usr/lib', 'lib'].map((dir) => `${dir}/modprobe.d`);

/**
 * Looks whether a device of the module kvmfr is there, may be used by us and by no stranger, and is large enough.
 * @param bytes what a VM is to have of it
 * @param root before every path, for a host that is described by files
 */
export function findKvmfrFaults(path: string, bytes: number, root = ''): KvmfrFault[] {
  const number = numberOf(path);
  const load = `sudo modprobe kvmfr static_size_mb=${Array(number + 1)
    .fill(bytes / MIB)
    .join()}`;
  const fault = (
    code: string,
    message: string,
    help: string,
    severity: 'error' | 'warning' = 'error',
  ): KvmfrFault[] => [{ severity, code, message, help }];
  let stat: Stats | undefined;
  try {
    stat = statSync(root + path, { throwIfNoEntry: false });
  } catch {
    return fault('path-denied', `device ${path} cannot be reached`, `see: namei -l ${path}`);
  }
  if (!stat && existsSync(`${root}/sys/module/kvmfr`))
    return fault(
      'path-missing',
      `device ${path} does not exist: the module kvmfr was loaded without a size for it`,
      `load it anew: sudo modprobe -r kvmfr && ${load}`,
    );
  if (!stat) return fault('path-missing', `device ${path} does not exist: the module kvmfr is not loaded`, load);
  if (!stat.isCharacterDevice())
    return fault(
      'path-wrong-kind',
      `${path} is no device; a QEMU of root's makes a file of that name where the module kvmfr is not loaded`,
      `sudo rm ${path} && sudo modprobe -r kvmfr && ${load}`,
    );
  return [...accessFaults(path, stat, root), ...sizeFaults(path, bytes, root)];
}

function accessFaults(path: string, stat: Stats, root: string): KvmfrFault[] {
  const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
  const owned = `it belongs to user ${stat.uid}, group ${stat.gid}, with mode ${mode}`;
  const rule = `a udev rule gives it to a group for good: SUBSYSTEM=="kvmfr", GROUP="kvm", MODE="0660"; \`ezvm setup group\` writes one`;
  try {
    accessSync(root + path, constants.R_OK | constants.W_OK);
  } catch {
    return [
      { severity: 'error', code: 'path-denied', message: `device ${path} cannot be written: ${owned}`, help: rule },
    ];
  }
  if ((stat.mode & 0o006) === 0) return [];
  const message = `everybody on this machine can see the guest's screen in ${path}: ${owned}`;
  return [{ severity: 'warning', code: 'memory-shared', message, help: rule }];
}

/** The module does not tell the size that it was loaded with, but what it is to be loaded with is written down. */
function sizeFaults(path: string, bytes: number, root: string): KvmfrFault[] {
  const written = findSizes(root);
  const size = written?.sizes[numberOf(path)];
  if (!written || size === undefined || size * MIB >= bytes) return [];
  const sizes = written.sizes.with(numberOf(path), bytes / MIB).join();
  return [
    {
      severity: 'warning',
      code: 'memory-small',
      message: `${path} has ${formatSize(size * MIB)}, says ${written.file}, and the display wants ${formatSize(bytes)}`,
      help: `write \`options kvmfr static_size_mb=${sizes}\` there, and load the module anew: sudo modprobe -r kvmfr && sudo modprobe kvmfr`,
    },
  ];
}

/** The module's first device where the name tells no other. */
function numberOf(path: string): number {
  return Number(/^kvmfr(\d)$/.exec(basename(path))?.[1] ?? 0);
}

/** What modprobe gives the module: of several lines the last. */
function findSizes(root: string): { file: string; sizes: number[] } | undefined {
  const files = new Map<string, string>();
  for (const dir of MODPROBE_DIRS)
    for (const name of namesIn(`${root}/${dir}`))
      if (name.endsWith('.conf') && !files.has(name)) files.set(name, `/${dir}/${name}`);
  const ordered = [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
  return ordered
    .flatMap((file) => {
      const lines = textIn(join(root, file)).matchAll(/^\s*options\s+kvmfr\s(?:.*\s)?static_size_mb=([\d,]+)/gm);
      return [...lines].map(([, sizes = '']) => ({ file, sizes: sizes.split(',').map(Number) }));
    })
    .at(-1);
}

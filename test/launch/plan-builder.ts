import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readJournal } from '../../src/admin/journal.ts';
import { endProcess, findSpawned, identify, type ProcessIdentity } from '../../src/admin/process.ts';
import { listRunDirs } from '../../src/admin/run-dir.ts';
import type { Plan, Requirement, Sidecar, Step } from '../../src/plan/plan.ts';
import type { Descriptor } from '../../src/plan/planned-qemu.ts';
import type { QemuOption } from '../../src/qemu/option.ts';
import { renderOptions } from '../../src/qemu/render.ts';
import { type Guest, writeGuestDisk } from '../guests/boot-sector.ts';

export const QEMU = '/usr/bin/qemu-system-x86_64';
export const SWTPM = '/usr/bin/swtpm';

/** A host for VMs of one test: its directories, and a broom for what a failing test leaves. */
export interface Lab {
  readonly dir: string;
  readonly runRoot: string;
  /** All that exists under the run root, and processes whose command line names this lab. */
  leftovers(): string[];
  processes(): { pid: number; argv: string[] }[];
  sweep(): Promise<void>;
}

export function makeLab(): Lab {
  // Socket paths are limited to 107 bytes.
  const dir = mkdtempSync(join(tmpdir(), 'ezvm-t-'));
  const runRoot = join(dir, 'run');
  mkdirSync(join(dir, 'state'));
  const processes = (): { pid: number; argv: string[] }[] =>
    readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map((entry) => ({ pid: Number(entry), argv: commandLine(entry) }))
      .filter(({ pid, argv }) => pid !== process.pid && argv.some((word) => word.includes(`${dir}/`)));
  return {
    dir,
    runRoot,
    processes,
    leftovers: () => [
      ...(existsSync(runRoot) ? readdirSync(runRoot) : []),
      ...processes().map(({ argv }) => argv.join(' ')),
    ],
    async sweep() {
      const own = [...processes().map(({ pid }) => identify(pid)), ...recorded(runRoot)];
      for (const one of own) if (one) await endProcess(one, 200);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Processes that name no directory, such as `sleep`. */
function recorded(runRoot: string): ProcessIdentity[] {
  const changes = listRunDirs(runRoot).flatMap((name) => readJournal(join(runRoot, name)));
  return [
    ...changes.filter((change) => change.change === 'spawned'),
    ...findSpawned(changes.filter((change) => change.change === 'spawn')),
  ];
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** What differs from a plain VM with one disk and a serial port that writes to a file. */
export interface PlanChanges {
  readonly name?: string;
  readonly guest?: Guest;
  readonly options?: readonly QemuOption[];
  readonly binary?: string;
  readonly sidecars?: readonly Sidecar[];
  readonly requirements?: readonly Requirement[];
  readonly steps?: readonly Step[];
  readonly stopTimeout?: number;
  /** False for a VM that gets its disk in another way. */
  readonly drive?: boolean;
  readonly descriptors?: readonly Descriptor[];
}

export function buildPlan(lab: Lab, changes: PlanChanges = {}): Plan {
  const name = changes.name ?? 'vm';
  const runDir = join(lab.runRoot, name);
  const stateDir = join(lab.dir, 'state', name);
  const disk = join(lab.dir, `${name}.img`);
  writeGuestDisk(disk, changes.guest ?? 'plain');
  const options: QemuOption[] = [
    { name: 'name', args: name },
    { name: 'machine', args: { type: 'pc', accel: 'tcg' } },
    { name: 'm', args: '32' },
    { name: 'no-user-config', args: true },
    { name: 'nodefaults', args: true },
    { name: 'display', args: 'none' },
    { name: 'serial', args: `file:${serialPath(lab, name)}` },
    { name: 'qmp', args: `unix:${runDir}/qmp.sock,server=on,wait=off` },
    { name: 'monitor', args: `unix:${runDir}/monitor.sock,server=on,wait=off` },
    ...(changes.drive === false ? [] : [{ name: 'drive', args: `if=ide,format=raw,file=${disk}` }]),
    ...(changes.options ?? []),
  ];
  return {
    format: 1,
    vm: {
      name,
      uuid: '00000000-0000-4000-8000-000000000001',
      file: join(lab.dir, `${name}.yaml`),
      runDir,
      stateDir,
      qmpSocket: join(runDir, 'qmp.sock'),
      monitorSocket: join(runDir, 'monitor.sock'),
    },
    user: { uid: 0, gid: 0, name: 'root', home: '/root' },
    qemu: {
      options,
      argv: [changes.binary ?? QEMU, ...renderOptions(options, 'json', { major: 7, minor: 2, micro: 0 })],
      wrapper: [],
      passwords: [],
      descriptors: changes.descriptors ?? [],
      relaxed: [],
    },
    sidecars: changes.sidecars ?? [],
    guest: [],
    requirements: changes.requirements ?? [],
    steps: changes.steps ?? [],
    stopTimeout: changes.stopTimeout ?? 60,
    notes: [],
  };
}

/** A TPM as a template would plan it. */
export function withTpm(
  lab: Lab,
  name = 'vm',
  argv?: readonly string[],
): Required<Pick<PlanChanges, 'options' | 'sidecars' | 'steps'>> {
  const socket = join(lab.runRoot, name, 'tpm.sock');
  const tpmDir = join(lab.dir, 'state', name, 'tpm');
  const own = [
    SWTPM,
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${tpmDir},mode=0600`,
    '--ctrl',
    `type=unixio,path=${socket},mode=0600`,
    '--terminate',
  ];
  return {
    steps: [{ do: 'mkdir', path: tpmDir, mode: 0o700, keep: true }],
    sidecars: [
      {
        name: 'swtpm',
        argv: argv ?? own,
        when: 'before',
        ready: { socket, timeout: 20 },
        origin: { file: 'vm.yaml', line: 3, column: 1 },
      },
    ],
    options: [
      { name: 'chardev', args: { backend: 'socket', id: 'tpm-chr', path: socket } },
      { name: 'tpmdev', args: { type: 'emulator', id: 'tpm0', chardev: 'tpm-chr' } },
      { name: 'device', args: { driver: 'tpm-tis', tpmdev: 'tpm0' } },
    ],
  };
}

export function serialPath(lab: Lab, name = 'vm'): string {
  return join(lab.dir, `${name}.serial`);
}

/** Waits until something holds; fails with `what` after a minute. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(10);
  }
}

/** Waits until the guest has said that it is up. */
export async function guestUp(lab: Lab, name = 'vm'): Promise<void> {
  const path = serialPath(lab, name);
  await until(`the guest of ${name}`, () => existsSync(path) && readFileSync(path, 'latin1').includes('EZVM-UP'));
}

import { accessSync, closeSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Diagnostic, EXIT, EzvmError } from '../core/diagnostic.ts';
import { formatSize } from '../core/size.ts';
import { findInherited, inheritedFor } from '../host/inherited.ts';
import { isExecutable } from '../host/programs.ts';
import { LOCKED_MEMORY } from '../plan/helper.ts';
import type { Plan, Requirement, RequirementOf } from '../plan/plan.ts';
import type { Descriptor } from '../plan/planned-qemu.ts';
import { awaitClaim } from './claim.ts';
import { checkTpmVersion } from './contents.ts';
import { closeHanded, openDescriptors } from './descriptor.ts';
import { checkEnrolledKeys } from './enrolled-keys.ts';
import { askHelper } from './helper.ts';
import { reasonOf } from './host-fault.ts';
import { checkKvmfr } from './kvmfr.ts';
import { claimStale } from './memory-file.ts';
import { readPassword } from './password.ts';
import { checkPath } from './path-check.ts';
import { checkPort } from './port.ts';
import { checkSession, type Surroundings } from './session-check.ts';
import { checkChoice, checkLockedMemory, checkVfio } from './vfio.ts';

/** Bytes of a socket's path that the kernel takes, without the closing NUL. */
const LONGEST_SOCKET_PATH = 107;

/**
 * Looks whether all that the plan needs is there, and changes nothing.
 * @returns warnings
 * @throws EzvmError exit 3 with every fault at once
 */
export async function preflight(plan: Plan, surroundings: Surroundings): Promise<Diagnostic[]> {
  const found: (Diagnostic | undefined)[] = [
    ...socketPaths(plan).map((path) => checkSocketPath(path, plan.vm)),
    checkStateDir(plan.vm.stateDir),
  ];
  const elsewhere = [
    ...findInherited().map(({ path }) => path),
    ...(plan.qemu.helper?.grants ?? []).map(({ what }) => what),
  ];
  for (const requirement of plan.requirements)
    if (!subjectsOf(requirement).some((one) => elsewhere.includes(one)))
      found.push(...[await check(requirement, surroundings)].flat());
  for (const password of plan.qemu.passwords) found.push(...(await told(() => readPassword(password))));
  // What is missing or denied is told already, in words of its own.
  if (!found.some((one) => one?.severity === 'error')) {
    const ours = plan.qemu.descriptors.filter((one) => one.opener === undefined && !inheritedFor(one));
    for (const attempt of [...ours.map(toOpen), ...plannedClaims(plan)]) found.push(...(await told(attempt)));
    found.push(...(await askHelper(plan)));
  }
  const qemu = plan.qemu.argv[0] ?? '';
  const checked = plan.requirements.some((one) => one.kind === 'program' && (one.path ?? one.program) === qemu);
  if (!checked) found.push(checkProgram({ kind: 'program', program: qemu, path: qemu, help: 'install QEMU' }));

  const diagnostics = found.filter((diagnostic) => diagnostic !== undefined);
  if (diagnostics.some((diagnostic) => diagnostic.severity === 'error')) throw new EzvmError(diagnostics, EXIT.host);
  return diagnostics;
}

/** As the plan's grants of the helper name it, which looks at it by itself. */
function subjectsOf(requirement: Requirement): readonly string[] {
  if (requirement.kind === 'path') return [requirement.path];
  if (requirement.kind === 'vfio') return [requirement.device];
  if (requirement.kind === 'vfio-choice') return requirement.taken;
  return requirement.kind === 'locked-memory' ? [LOCKED_MEMORY] : [];
}

/** An attempt to have for a moment what QEMU is to be handed. */
function toOpen(descriptor: Descriptor): () => void {
  return () => closeHanded(openDescriptors([descriptor]));
}

/** Attempts to have for a moment what is to serve this VM alone. */
function plannedClaims({ vm, sidecars, steps }: Plan): (() => void | Promise<void>)[] {
  const files = steps.filter((step) => step.do === 'memory-file');
  const claims = sidecars.flatMap((sidecar) => sidecar.claims ?? []).filter(({ path }) => existsSync(path));
  return [
    ...files.map((file) => (): void => letGo(claimStale(file))),
    ...claims.map((claim) => async (): Promise<void> => letGo(await awaitClaim(claim, dirname(vm.runDir)))),
  ];
}

function letGo(fd: number | undefined): void {
  if (fd !== undefined) closeSync(fd);
}

/** The faults of an attempt. */
async function told(attempt: () => unknown): Promise<readonly Diagnostic[]> {
  try {
    await attempt();
    return [];
  } catch (error) {
    if (error instanceof EzvmError) return error.diagnostics;
    throw error;
  }
}

async function check(
  requirement: Requirement,
  surroundings: Surroundings,
): Promise<Diagnostic | readonly Diagnostic[] | undefined> {
  if (requirement.kind === 'program') return checkProgram(requirement);
  if (requirement.kind === 'path') return checkPath(requirement);
  if (requirement.kind === 'port') return checkPort(requirement);
  if (requirement.kind === 'memory') return checkMemory(requirement);
  if (requirement.kind === 'huge-pages') return checkHugePages(requirement);
  if (requirement.kind === 'enrolled-keys') return checkEnrolledKeys(requirement);
  if (requirement.kind === 'tpm-version') return checkTpmVersion(requirement);
  if (requirement.kind === 'session') return checkSession(requirement, surroundings);
  if (requirement.kind === 'kvmfr') return checkKvmfr(requirement);
  if (requirement.kind === 'vfio') return checkVfio(requirement);
  if (requirement.kind === 'vfio-choice') return checkChoice(requirement);
  if (requirement.kind === 'locked-memory') return checkLockedMemory(requirement);
  const { code, message, help, origin } = requirement;
  return { severity: 'error', code, message, help, origin };
}

function checkProgram(requirement: RequirementOf<'program'>): Diagnostic | undefined {
  const { program, path, optional, help, origin } = requirement;
  if (path !== undefined && isExecutable(path)) return undefined;
  const lack =
    path === undefined || path === program
      ? `${program} is not installed`
      : `${program} cannot be run: there is no program at ${path}`;
  const mend =
    path === undefined || path === program ? help : `${help}; or correct it under \`programs\` in the settings`;
  const message = optional ? `${lack}; the VM starts without it` : lack;
  return { severity: optional ? 'warning' : 'error', code: 'program-missing', message, help: mend, origin };
}

/** QEMU would end with a word about mmap. */
function checkHugePages({ page, bytes, origin }: RequirementOf<'huge-pages'>): Diagnostic | undefined {
  const folder = `/sys/kernel/mm/hugepages/hugepages-${page / 1024}kB`;
  const read = (name: string): number | undefined => {
    try {
      return Number(readFileSync(`${folder}/${name}`, 'latin1'));
    } catch {
      return undefined;
    }
  };
  const [free, reserved = 0, all = 0] = ['free_hugepages', 'resv_hugepages', 'nr_hugepages'].map(read);
  const wanted = Math.ceil(bytes / page);
  if (free === undefined)
    return {
      severity: 'error',
      code: 'huge-pages-short',
      message: `this machine has no pages of ${formatSize(page)}`,
      help: 'choose another size, or `huge-pages: off`',
      origin,
    };
  // What others have reserved and not yet used counts as free there.
  const available = free - reserved;
  if (available >= wanted) return undefined;
  return {
    severity: 'error',
    code: 'huge-pages-short',
    message: `${formatSize(bytes)} in pages of ${formatSize(page)} are ${wanted} pages, and ${available} are free`,
    help: `set some aside: echo ${all + wanted - available} | sudo tee ${folder}/nr_hugepages`,
    origin,
  };
}

function checkMemory(requirement: RequirementOf<'memory'>): Diagnostic | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/meminfo', 'latin1');
  } catch {
    return undefined;
  }
  const available = Number(/^MemAvailable:\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY) * 1024;
  if (available >= requirement.bytes) return undefined;
  const gigabytes = (available / 1024 ** 3).toFixed(1);
  return {
    severity: 'warning',
    code: 'memory-short',
    message: `the VM may use ${formatSize(requirement.bytes)} of memory, but only ${gigabytes}G are available`,
    help: 'give the VM less memory, or end other programs',
    origin: requirement.origin,
  };
}

function socketPaths(plan: Plan): string[] {
  return [
    plan.vm.qmpSocket,
    plan.vm.monitorSocket,
    ...plan.sidecars.flatMap(({ ready, needs }) => [
      ready?.socket,
      needs && 'socket' in needs ? needs.socket : undefined,
    ]),
  ].filter((path) => path !== undefined);
}

function checkSocketPath(path: string, { stateDir }: Plan['vm']): Diagnostic | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= LONGEST_SOCKET_PATH) return undefined;
  const variable = dirname(path) === stateDir ? 'XDG_STATE_HOME' : 'XDG_RUNTIME_DIR';
  return {
    severity: 'error',
    code: 'socket-path-long',
    message: `the path of socket ${path} has ${bytes} bytes; the kernel takes ${LONGEST_SOCKET_PATH}`,
    help: `give the VM a shorter name, or set ${variable} to a shorter directory`,
  };
}

function checkStateDir(stateDir: string): Diagnostic | undefined {
  let existing = stateDir;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    if (statSync(existing).isDirectory()) return undefined;
  } catch (error) {
    return {
      severity: 'error',
      code: 'state-dir-denied',
      message: `the VM's logs and state cannot be kept in ${stateDir}: ${existing}: ${reasonOf(error)}`,
      help: `make ${existing} writable for you, or set XDG_STATE_HOME to another directory`,
    };
  }
  return {
    severity: 'error',
    code: 'state-dir-denied',
    message: `the VM's logs and state cannot be kept in ${stateDir}: ${existing} is not a directory`,
    help: `remove ${existing}, or set XDG_STATE_HOME to another directory`,
  };
}

import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { availableParallelism, release, totalmem, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { type Diagnostic, EzvmError } from '../core/diagnostic.ts';
import { compareVersions } from '../qemu/option.ts';
import { readCache, writeCache } from './cache.ts';
import { findDirs } from './dirs.ts';
import type { AcceleratorFacts, HelperFacts, HostFacts, QemuFacts, QemuSchema, Questions } from './facts.ts';
import { FIRMWARE_DIRS, readFirmware } from './firmware.ts';
import { askAboutBridges, findHelper } from './helper.ts';
import { lookAtKvm } from './kvm.ts';
import { probePaths } from './paths.ts';
import { findProgram, findPrograms, isExecutable, noProgram, programDirs } from './programs.ts';
import { findRenderNodes, findSession, findSound } from './session.ts';

/** What a probe needs to be told. */
export interface ProbeRequest {
  readonly questions: Questions;
  readonly settings?: {
    /** Absolute paths by program name. */
    readonly programs?: Readonly<Record<string, string>>;
    /** Absolute path of the QEMU to use. */
    readonly qemu?: string;
    /** In place of the usual directories of firmware descriptors. */
    readonly firmwareDirs?: readonly string[];
  };
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a probe has found. */
export interface Probed {
  readonly facts: HostFacts;
  /** What is wrong with the host's own configuration. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Node's names of processors, where QEMU's differ. */
const ARCH: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  loong64: 'loongarch64',
  ia32: 'i386',
};

interface Capabilities {
  readonly qemu: QemuFacts;
  /** Absent when asking again might be answered differently. */
  readonly kvm?: AcceleratorFacts;
}

/** Looks at this machine without changing it. Never throws for what it finds; a QEMU that cannot be asked is a diagnostic. */
export async function probeHost(request: ProbeRequest): Promise<Probed> {
  const { env = process.env, settings = {} } = request;
  const user = findUser(env);
  const dirs = findDirs(env, user);
  const session = findSession(env);
  const where = programDirs(env['PATH'], process.geteuid?.() ?? user.uid);
  const hostArch = ARCH[process.arch] ?? process.arch;
  const { 'ezvm-priv': chosenHelper, ...chosen } = settings.programs ?? {};
  const { programs, diagnostics: unknown } = findPrograms(where, chosen);
  const installed = findHelper(chosenHelper);
  const firmware = readFirmware(
    settings.firmwareDirs ?? [...FIRMWARE_DIRS, ...(user.uid === 0 ? [] : [`${dirname(dirs.config)}/qemu/firmware`])],
  );
  const diagnostics: Diagnostic[] = [...unknown, ...firmware.diagnostics];
  if (chosenHelper !== undefined && !installed && user.uid !== 0)
    diagnostics.push(noProgram('ezvm-priv', chosenHelper));
  const { paths, arch, ...more } = request.questions;
  const binary = findQemu(settings.qemu, arch ?? hostArch, where, diagnostics);
  const { qemu, kvm } = await findCapabilities(binary, hostArch, user, dirs.cache, diagnostics);
  const found = probePaths(paths);
  const asked = await answerQuestions(more, programs, where, chosen);
  const helper = await askHelper(installed, found, asked);
  const facts: HostFacts = {
    format: 1,
    arch: qemu?.arch ?? arch ?? hostArch,
    user,
    dirs,
    cpus: availableParallelism(),
    ...findCpuVendor(),
    memory: totalmem(),
    ...(qemu && { qemu }),
    kvm,
    ...asked,
    ...(helper && { helper }),
    ...(process.platform === 'darwin' && { hvf: hvfFor(qemu?.arch ?? hostArch, hostArch) }),
    firmware: firmware.descriptors,
    paths: found,
    session,
    renderNodes: findRenderNodes(),
    sound: findSound(session),
  };
  return { facts, diagnostics };
}

/**
 * The syntax of the QEMU in `facts`: the one that came with them, else what the QEMU of this machine says of itself, if
 * it is the same version; undefined when there is neither. Throws EzvmError (exit 3) when it does not answer.
 */
export async function loadSchema(facts: HostFacts & { readonly schema?: QemuSchema }): Promise<QemuSchema | undefined> {
  const { qemu, dirs, schema } = facts;
  const key = qemu && binaryKey(qemu.binary);
  if (schema || !qemu || !key) return schema;
  const file = cacheFile(dirs.cache, qemu.binary, 'schema');
  let found = readCache(file, key) as QemuSchema | undefined;
  if (!found) {
    const { probeSchema } = await import('./capabilities.ts');
    found = await probeSchema(qemu);
    writeCache(dirs.cache, file, key, found);
  }
  // Facts of another machine may name a program that is here as well, and is another QEMU.
  return compareVersions(found.version, qemu.version) === 0 ? found : undefined;
}

/** What only some VMs make worth a look; the code for it is loaded for them alone. */
async function answerQuestions(
  { interfaces, programs: started, pci }: Omit<Questions, 'paths'>,
  programs: Readonly<Record<string, string>>,
  dirs: readonly string[],
  chosen: Readonly<Record<string, string>> = {},
): Promise<Pick<HostFacts, 'programs' | 'links' | 'pci' | 'lockable' | 'bridgeHelper' | 'virtiofsd' | 'passt'>> {
  const answers: { -readonly [key in keyof HostFacts]?: HostFacts[key] } & Pick<HostFacts, 'programs'> = { programs };
  if (interfaces.length > 0) {
    const [{ probeLinks }, { probeBridgeHelper }] = await Promise.all([
      import('./links.ts'),
      import('./bridge-helper.ts'),
    ]);
    answers.links = await probeLinks(interfaces, findProgram('ip', dirs));
    const helper = programs['qemu-bridge-helper'];
    if (helper !== undefined) answers.bridgeHelper = await probeBridgeHelper(helper, findProgram('getcap', dirs));
  }
  if (pci || Object.values(answers.links ?? {}).some(({ functions }) => functions !== undefined)) {
    const { lockableMemory, probePci } = await import('./vfio.ts');
    const lockable = lockableMemory();
    answers.pci = probePci();
    if (Number.isFinite(lockable)) answers.lockable = lockable;
  }
  if (started.includes('virtiofsd')) {
    const [{ askOptions }, { findVirtiofsd }] = await Promise.all([
      import('./program-options.ts'),
      import('./virtiofsd.ts'),
    ]);
    const server = chosen['virtiofsd'] ?? findVirtiofsd() ?? programs['virtiofsd'];
    if (server !== undefined) {
      if (isExecutable(server)) answers.virtiofsd = await askOptions(server);
      answers.programs = { ...programs, virtiofsd: server };
    }
  }
  // Anybody else's passt is told the same whatever it knows.
  if (started.includes('passt') && programs['passt'] !== undefined && process.geteuid?.() === 0) {
    const { askOptions } = await import('./program-options.ts');
    answers.passt = await askOptions(programs['passt']);
  }
  return answers;
}

/** The helper is asked only where there may be something for it to do. */
async function askHelper(
  helper: HelperFacts | undefined,
  paths: HostFacts['paths'],
  { links = {}, pci }: Pick<HostFacts, 'links' | 'pci'>,
): Promise<HelperFacts | undefined> {
  const bridges = Object.keys(links).filter((name) => links[name]?.kind === 'bridge');
  const isClosed = Object.values(paths).some(
    ({ kind, readable, writable }) => kind === 'block' && !(readable && writable),
  );
  if (!helper || !(pci || isClosed || bridges.length > 0)) return helper;
  return askAboutBridges(helper, bridges);
}

async function findCapabilities(
  binary: string | undefined,
  hostArch: string,
  user: HostFacts['user'],
  cache: string,
  diagnostics: Diagnostic[],
): Promise<{ qemu?: QemuFacts; kvm: AcceleratorFacts }> {
  const ofBinary = binary === undefined ? undefined : binaryKey(binary);
  if (binary === undefined || ofBinary === undefined)
    return { kvm: { usable: false, reason: 'no QEMU is installed that could use it' } };
  const device = lookAtKvm(user.name);
  const key = JSON.stringify([ofBinary, device.key, release(), user.uid]);
  const file = cacheFile(cache, binary, 'facts');
  let known = readCache(file, key) as Capabilities | undefined;
  let kvm = device.fault ?? known?.kvm;
  if (!known || !kvm) {
    const { probeKvm, probeQemu } = await import('./capabilities.ts');
    try {
      const [qemu, tried] = await Promise.all([
        known?.qemu ?? probeQemu(binary),
        device.fault ? { facts: device.fault, lasting: true } : probeKvm(binary, hostArch),
      ]);
      known = { qemu, ...(tried.lasting && { kvm: tried.facts }) };
      kvm = tried.facts;
    } catch (error) {
      if (!(error instanceof EzvmError)) throw error;
      diagnostics.push(...error.diagnostics);
      return { kvm: { usable: false, reason: 'QEMU cannot be run' } };
    }
    writeCache(cache, file, key, known);
  }
  if (known.qemu.arch === hostArch) return { qemu: known.qemu, kvm };
  const foreign = `it runs only ${hostArch} guests here, and ${binary} emulates ${known.qemu.arch}`;
  return { qemu: known.qemu, kvm: { usable: false, reason: foreign } };
}

/** The first lines are about the first processor; the kernel writes the others only for whoever reads on. */
function findCpuVendor(): Pick<HostFacts, 'cpuVendor'> {
  try {
    const file = openSync('/proc/cpuinfo', 'r');
    const buffer = Buffer.alloc(256);
    const length = readSync(file, buffer);
    closeSync(file);
    const cpuVendor = /^vendor_id\s*:\s*(\w+)/m.exec(buffer.toString('latin1', 0, length))?.[1];
    return cpuVendor === undefined ? {} : { cpuVendor };
  } catch {
    return {};
  }
}

function hvfFor(arch: string, hostArch: string): AcceleratorFacts {
  if (arch === hostArch) return { usable: true };
  return { usable: false, reason: `it runs only ${hostArch} guests here, and the board is made of ${arch} processors` };
}

function findUser(env: Readonly<Record<string, string | undefined>>): HostFacts['user'] {
  const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  let known: { username: string; homedir: string };
  try {
    known = userInfo();
  } catch {
    // A uid without an entry in the password file, as in many containers.
    known = { username: String(ids.uid), homedir: '/' };
  }
  return { ...ids, name: known.username, home: env['HOME']?.startsWith('/') ? env['HOME'] : known.homedir };
}

function findQemu(
  chosen: string | undefined,
  arch: string,
  dirs: readonly string[],
  diagnostics: Diagnostic[],
): string | undefined {
  if (chosen !== undefined) {
    if (chosen.startsWith('/') && isExecutable(chosen)) return chosen;
    diagnostics.push(noProgram('qemu', chosen));
    return undefined;
  }
  // Fedora and RHEL have a QEMU of their own outside the PATH.
  return (
    findProgram(`qemu-system-${arch}`, dirs) ??
    (arch === ARCH[process.arch] ? findProgram('qemu-kvm', ['/usr/libexec']) : undefined)
  );
}

/** Changes whenever the program or its modules do; undefined when it is gone. */
function binaryKey(binary: string): string | undefined {
  const found = statSync(binary, { bigint: true, throwIfNoEntry: false });
  if (!found) return undefined;
  const real = realpathSync(binary);
  const prefix = dirname(dirname(real));
  const triplet = `${ARCH[process.arch] ?? process.arch}-linux-gnu`;
  const modules = [`lib/${triplet}/qemu`, 'lib/qemu', 'lib64/qemu', 'lib64/qemu-kvm'].map(
    (dir) => statSync(`${prefix}/${dir}`, { bigint: true, throwIfNoEntry: false })?.mtimeNs,
  );
  return [real, found.size, found.mtimeNs, found.ctimeNs, ...modules].join(' ');
}

function cacheFile(cache: string, binary: string, kind: 'facts' | 'schema'): string {
  return `${cache}/${binary
    .slice(1)
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(-160)}.${kind}.json`;
}

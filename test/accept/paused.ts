import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll } from 'vitest';
import { isListening } from '../../src/admin/endpoint.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuOption } from '../../src/qemu/option.ts';
import { connectQmp, type QmpClient } from '../../src/qemu/qmp.ts';
import { openDesktop } from './desktop.ts';
import { targetsOf } from './iscsi.ts';

/** What a QEMU said of a command line. */
export interface Verdict {
  /** As `query-status` answers; undefined when it never did. */
  readonly status: string | undefined;
  /** What it wrote on stderr, less what says nothing about the options. */
  readonly complaints: readonly string[];
}

/** Far longer than any start takes, even with every processor busy. */
const PATIENCE_MS = 60_000;

/** What is not about the options: modules in packages not installed, as Debian's build has it, and icons that GTK misses. */
const CHATTER = [
  // TCG's plain processor is one of AMD's, and has no threads.
  /This family of AMD CPU doesn't support hyperthreading|try enabling topoext/,
  /module \S+ not found, do you want to install/,
  // PulseAudio's server without a card, of voices that play nowhere.
  /^pulseaudio: (set_(sink_input|source_output)_(volume|mute)\(\) failed.*|Reason: Invalid argument)$/,
  // Xvfb has no GPU, and Mesa draws by itself.
  /^MESA-EGL: warning: (DRI3 error|Ensure your X server supports DRI3)/,
  // Of the viewer that a desktop has for such addresses.
  /info: Launching display with URI/,
  // JACK says so of every client, and keeps notes in a form that differs between its versions.
  /^jack: JACK ((in|out)put configured|unique name assigned)|DB_VERSION_MISMATCH|^BDB\d+ Build signature/,
  // Newer Mesa on an X server that has no graphics card.
  /^MESA-EGL: warning: .*DRI3/,
  // SPICE would like to tell its agent where a card sits that is not on PCI, such as ramfb.
  /Setting device address of a display device: Not a PCI device/,
  /Gtk-WARNING.*pixbuf from icon theme|pixbuf loaders or the mime database/,
];

let running = 0;
const waiting: (() => void)[] = [];

/** Runs no more than one QEMU for each processor. */
async function inTurn<T>(act: () => Promise<T>): Promise<T> {
  if (running >= availableParallelism()) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await act();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

/**
 * Starts QEMU with a plan's command line, paused, and the sidecars it needs; waits until it answers or dies, and ends
 * all of it.
 * @param argv in the place of the plan's own
 * @param ask what else to ask a QEMU that answers
 */
export function startPaused(
  plan: Plan,
  argv: readonly string[] = plan.qemu.argv,
  ask?: (qmp: QmpClient) => Promise<void>,
): Promise<Verdict> {
  return inTurn(async () => {
    for (const dir of [plan.vm.runDir, plan.vm.stateDir]) mkdirSync(dir, { recursive: true });
    for (const step of plan.steps) {
      if (step.do === 'mkdir') mkdirSync(step.path, { recursive: true });
      else if (step.do === 'copy') {
        mkdirSync(dirname(step.to), { recursive: true });
        copyFileSync(step.from, step.to);
      } else if (step.do === 'memory-file') {
        writeFileSync(step.path, '');
        truncateSync(step.path, step.size);
      } else if (step.do === 'create-image' && step.forOneRun)
        execFileSync('qemu-img', ['create', '-q', '-f', step.format, '--', step.path, '4M'], { stdio: 'inherit' });
    }
    for (const { args } of plan.qemu.options)
      if (typeof args === 'object' && args['mem-path'] !== undefined && !existsSync(String(args['mem-path'])))
        throw new Error(`QEMU would make the file ${args['mem-path']}`);
    for (const { name, args } of plan.qemu.options)
      if (name === 'netdev' && typeof args === 'object' && args['type'] === 'tap') await isFree(String(args['ifname']));
    const sidecars: ChildProcess[] = [];
    try {
      for (const { argv: words, ready, when } of plan.sidecars) {
        if (when !== 'before') continue;
        // One that an earlier start left would pass for ready.
        if (ready) rmSync(ready.socket, { force: true });
        const child = bound(words, ['ignore', 'ignore', 'ignore']);
        sidecars.push(child);
        await appears(ready?.socket, child, isListening);
      }
      for (const [index, words] of nbdServers(plan).entries()) {
        const ready = join(plan.vm.stateDir, `nbd${index}.pid`);
        rmSync(ready, { force: true });
        const server = bound([...words, '--pid-file', ready], ['ignore', 'ignore', 'ignore']);
        sidecars.push(server);
        await appears(ready, server);
      }
      for (const target of targetsOf(plan)) {
        const server = bound(target.argv, ['ignore', 'ignore', 'ignore']);
        sidecars.push(server);
        await appears(target.control, server, isListening);
        await target.furnish();
      }
      return await judge(argv, ask);
    } finally {
      await Promise.all(sidecars.map(end));
      for (const step of plan.steps) if (step.do === 'memory-file') rmSync(step.path, { force: true });
    }
  });
}

/** A server for each disk that is one's: `qemu-nbd` with its words, which writes its number into a file once it listens. */
function nbdServers({ qemu, vm }: Plan): string[][] {
  return qemu.options.flatMap(({ name, args }) => {
    if (name !== 'blockdev' || typeof args !== 'object' || args['driver'] !== 'nbd') return [];
    const image = join(vm.stateDir, `${args['node-name']}.img`);
    writeFileSync(image, '');
    truncateSync(image, 4 * 1024 * 1024);
    const { type, path, host, port } = args['server'] as { readonly [key: string]: string };
    if (path !== undefined) mkdirSync(dirname(path), { recursive: true });
    const where = type === 'unix' ? [`--socket=${path}`] : [`--bind=${host}`, `--port=${port}`];
    const tls = args['tls-creds'] === undefined ? [] : serverSide(qemu.options, String(args['tls-creds']));
    return [['qemu-nbd', '-t', '-f', 'raw', ...where, ...tls, `--export-name=${args['export'] ?? ''}`, image]];
  });
}

/** The words by which a server shows the certificate that a disk's credentials are about. */
function serverSide(options: readonly QemuOption[], id: string): string[] {
  const dir = options.flatMap(({ args }) => (typeof args === 'object' && args['id'] === id ? String(args['dir']) : []));
  const credentials = `tls-creds-x509,id=tls,endpoint=server,verify-peer=off,dir=${dir.join('').replaceAll(',', ',,')}`;
  return ['--object', credentials, '--tls-creds=tls'];
}

async function judge(argv: readonly string[], ask?: (qmp: QmpClient) => Promise<void>): Promise<Verdict> {
  const channel = ['-S', '-chardev', 'socket,id=judge,fd=3', '-qmp', 'chardev:judge'];
  const child = bound([...argv, ...channel], ['ignore', 'ignore', 'pipe', 'pipe']);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  let status: string | undefined;
  let silence: string | undefined;
  try {
    const qmp = await connectQmp(child.stdio[3] as Duplex, { timeoutMs: PATIENCE_MS });
    const answer = (await qmp.execute('query-status', undefined, PATIENCE_MS)) as { status?: string };
    status = answer.status;
    await ask?.(qmp);
  } catch (error) {
    if (status !== undefined) throw error;
    silence = String(error);
  } finally {
    await end(child);
  }
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !CHATTER.some((one) => one.test(line)));
  if (lines.length === 0 && silence !== undefined)
    lines.push(`${silence} (exit code ${child.exitCode}, signal ${child.signalCode})`);
  return { status, complaints: lines };
}

/** What every child finds in its environment beside ours. */
const desktop = await openDesktop();
afterAll(desktop.close);

/** A child that dies with us, even by SIGKILL. */
function bound(argv: readonly string[], stdio: ('ignore' | 'pipe')[]): ChildProcess {
  const [program = '', ...rest] = ['/usr/bin/setpriv', '--pdeathsig=KILL', ...argv];
  return spawn(program, rest, {
    stdio,
    env: { DBUS_SESSION_BUS_ADDRESS: 'disabled:', ...process.env, ...desktop.env },
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function appears(
  path: string | undefined,
  by: ChildProcess,
  isThere: (path: string) => boolean = existsSync,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (path !== undefined && !isThere(path)) {
    if (by.exitCode !== null) throw new Error(`${by.spawnargs.join(' ')} exited with ${by.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${path} never appeared`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An interface is gone a moment after the QEMU that made it; one that somebody else made stays. */
async function isFree(ifname: string): Promise<void> {
  const deadline = performance.now() + 5000;
  while (existsSync(`/sys/class/net/${ifname}`) && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

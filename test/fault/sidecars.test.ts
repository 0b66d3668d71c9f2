import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SidecarStatus } from '../../src/admin/crash.ts';
import { hasClient } from '../../src/admin/endpoint.ts';
import { isAlive } from '../../src/admin/process.ts';
import { readState } from '../../src/admin/state.ts';
import { statusOf } from '../../src/admin/status.ts';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { type LaunchOptions, launch } from '../../src/launch/launch.ts';
import { restartSidecar } from '../../src/launch/restart.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { factsAt, QEMUS } from '../accept/qemus.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { type Lab, makeLab, until } from '../launch/plan-builder.ts';
import { CATALOG } from '../one-device.ts';
import { planOf } from '../planned.ts';
import { buildLauncher, runLauncher } from './launcher-process.ts';

const IS_ROOT = process.geteuid?.() === 0;
const OWN = QEMUS[0]?.facts;
const SERVER = OWN?.virtiofsd;

interface Case {
  readonly name: string;
  readonly yaml: (dir: string) => string;
  /** Why it cannot be tried here. */
  readonly left: string | undefined;
  /** QEMU hangs when it is never answered, instead of doing without. */
  readonly waitedFor: boolean;
}

const CASES: readonly Case[] = [
  {
    name: 'swtpm',
    yaml: () => 'tpm: { type: swtpm, model: tpm-tis, certificates: off }',
    left: OWN?.programs['swtpm'] === undefined ? 'no swtpm' : undefined,
    waitedFor: true,
  },
  {
    name: 'passt-net0',
    yaml: () => 'network: passt',
    left: OWN?.programs['passt'] === undefined ? 'no passt' : undefined,
    waitedFor: false,
  },
  {
    name: 'virtiofsd-share0',
    // A container may forbid namespaces to root, and gives them to users.
    yaml: (dir) => `shares: [{ type: virtiofs, path: ${dir}/shared, sandbox: ${IS_ROOT ? 'chroot' : 'namespace'} }]`,
    left:
      SERVER === undefined
        ? 'no virtiofsd'
        : !IS_ROOT && !SERVER.options.includes('--shared-dir')
          ? 'this virtiofsd is for root'
          : undefined,
    waitedFor: true,
  },
];

let lab: Lab;
let bin: string;
let program: string;
beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), 'ezvm-b-'));
  program = await buildLauncher(bin);
});
afterAll(() => rmSync(bin, { recursive: true, force: true }));
beforeEach(() => {
  lab = makeLab();
  mkdirSync(join(lab.dir, 'shared'));
});
afterEach(() => lab.sweep());

/** A VM with that sidecar, whose guest feels its power button. */
function plan({ yaml }: Case, facts = OWN): Plan {
  if (!facts) throw new Error('no QEMU');
  const disk = join(lab.dir, 'guest.raw');
  writeGuestDisk(disk, 'plain');
  return planOf(
    `name: vm
template: none
firmware: bios
machine: pc
memory: 64M
gpu: none
display: none
serial: log
disks: [{ file: ${disk}, bus: ide }]
${yaml(lab.dir)}
`,
    CATALOG,
    { ...factsAt(facts, lab.dir), programs: { ...facts.programs, 'ezvm-priv': '' } },
  );
}

/** The plan with another program in the sidecar's place: a script for the shell, and little patience with it. */
function replaced(original: Plan, name: string, script: string, timeout = 0.5, more = ''): Plan {
  const sidecars = original.sidecars.map((sidecar) =>
    sidecar.name === name && sidecar.ready
      ? {
          ...sidecar,
          argv: ['/bin/sh', '-c', script, 'sh', `${lab.dir}/`, more],
          ready: { ...sidecar.ready, timeout },
        }
      : sidecar,
  );
  return { ...original, sidecars };
}

/** Launches what must be refused with exit 3 and leave nothing; gives what was said of it. */
async function refused(doomed: Plan, options: LaunchOptions = {}): Promise<string> {
  const error = await launch(doomed, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EzvmError);
  const { diagnostics, exit } = error as EzvmError;
  expect(exit).toBe(3);
  expect(diagnostics.map(({ code }) => code)).toEqual(['sidecar-failed']);
  expectNothingLeft(doomed);
  return (error as EzvmError).message;
}

/** No process, no lock, no run directory and no socket elsewhere. */
function expectNothingLeft({ sidecars }: Plan): void {
  expect(lab.leftovers()).toEqual([]);
  for (const { ready } of sidecars) expect(ready && existsSync(ready.socket)).toBe(false);
}

function pidOf({ vm }: Plan, name: string): number {
  return readState(vm.runDir)?.sidecars.find((one) => one.name === name)?.pid ?? 0;
}

async function kill(victim: Plan, name: string): Promise<void> {
  const pid = pidOf(victim, name);
  process.kill(pid, 'SIGKILL');
  await until('its end', () => !existsSync(`/proc/${pid}`));
  await new Promise((resolve) => setImmediate(resolve));
}

async function guestUp({ vm }: Plan): Promise<void> {
  const path = join(vm.stateDir, 'serial0.log');
  await until('the guest', () => existsSync(path) && readFileSync(path, 'latin1').includes('EZVM-UP'));
}

for (const one of CASES)
  describe.skipIf(one.left !== undefined)(`${one.name}${one.left ? ` (left out: ${one.left})` : ''}`, () => {
    const { name } = one;

    it.each([
      ['ends with a message', 'echo "no luck" >&2; exit 1', 'exited with status 1 before it was ready: no luck'],
      ['hangs', 'trap "" TERM; while :; do sleep 1; done', 'did not open SOCKET within 0.5 s'],
      ['listens nowhere', 'echo ready; exec sleep 600', 'did not open SOCKET within 0.5 s: ready'],
      ['makes something else of its socket', 'echo >SOCKET; exec sleep 600', 'did not open SOCKET within 0.5 s'],
    ])('that %s is named, and nothing is left of the start', async (_, script, said) => {
      const original = plan(one);
      const socket = original.sidecars.find((sidecar) => sidecar.name === name)?.ready?.socket ?? '';
      const message = await refused(replaced(original, name, script.replace('SOCKET', socket)));
      expect(message).toBe(`${name} ${said.replace('SOCKET', socket)}`);
    });

    it.each([
      ['before it is ready', `${name}: recorded`, /^\S+ was killed by SIGKILL before it was ready/],
      ['once it is ready', `${name}: ready`, /^\S+, which QEMU needs, was killed by SIGKILL/],
      ['beside a QEMU that has answered', 'qemu: ready', /^\S+, which QEMU needs, was killed by SIGKILL/],
    ])('killed %s is named, and nothing is left of the start', async (_, moment, said) => {
      const doomed = plan(one);
      const message = await refused(doomed, {
        onStep: async (now) => (now === moment ? kill(doomed, name) : undefined),
      });
      expect(message).toMatch(said);
      expect(message.startsWith(name)).toBe(true);
    });

    it('killed beside a running guest is told by status, and the VM is stopped as ever', async () => {
      const running = plan(one);
      // QEMU knows to connect to passt again from 8.0 on.
      const reconnects = running.sidecars.find((sidecar) => sidecar.name === name)?.reconnects === true;
      await launch(running);
      await guestUp(running);
      await kill(running, name);
      expect(await statusOf('vm', running.vm.runDir)).toMatchObject({
        condition: 'running',
        sidecars: [{ name, alive: false, needed: true, restartable: reconnects }],
      });
      await stop(running.vm);
      expectNothingLeft(running);
    });

    // Programs in Rust outlive the first SIGSEGV that is sent to them.
    it.each(['SIGABRT', 'SIGKILL'] as const)(
      'that gets %s when its ezvm has long ended is told by status with that',
      async (signal) => {
        const running = plan(one);
        const { code, stderr } = await runLauncher(program, lab, { plan: running });
        expect(code, stderr).toBe(0);
        process.kill(pidOf(running, name), signal);
        const sidecar = async (): Promise<SidecarStatus | undefined> =>
          (await statusOf('vm', running.vm.runDir)).sidecars[0];
        await until('what became of it', async () => (await sidecar())?.reason !== undefined);
        expect(await sidecar()).toMatchObject({ name, alive: false, reason: `was killed by ${signal}` });
        await until('the end of its watcher', () => lab.processes().every(({ argv }) => argv[3] !== 'ezvm-watch'));
        await stop(running.vm, { force: true });
        expectNothingLeft(running);
      },
    );

    it.each(['SIGKILL', 'SIGSTOP'] as const)(
      'that gets %s while the VM is stopped does not keep it',
      async (signal) => {
        const running = plan(one);
        const { state } = await launch(running);
        await guestUp(running);
        await stop(running.vm, {
          onProgress: () => void process.kill(pidOf(running, name), signal),
          timeoutMs: 3000,
        }).catch(async (error: unknown) => {
          // A QEMU that says goodbye to a TPM waits for its answer.
          expect(error).toMatchObject({ exit: 4 });
          expect(signal).toBe('SIGSTOP');
          await stop(running.vm, { force: true });
        });
        expect(state.qemu && isAlive(state.qemu)).toBe(false);
        expectNothingLeft(running);
      },
    );

    it.skipIf(!one.waitedFor)(
      'that takes QEMU’s connection and says nothing is named, and nothing is left of the start',
      async () => {
        const original = plan(one);
        const socket = original.sidecars.find((sidecar) => sidecar.name === name)?.ready?.socket ?? '';
        const program = `require('net').createServer((one) => one.resume()).listen(${JSON.stringify(socket)})`;
        const mute = replaced(original, name, `exec '${process.execPath}' -e "$2"`, 30, program);
        expect(await refused(mute)).toBe(`QEMU waits for ${name}, which does not answer`);
      },
    );

    it.skipIf(!one.waitedFor)('that is stopped before QEMU has its answer is named so', async () => {
      const doomed = plan(one);
      const message = await refused(doomed, {
        onStep: (now) => {
          if (now === `${name}: ready`) process.kill(pidOf(doomed, name), 'SIGSTOP');
        },
      });
      expect(message).toBe(`QEMU waits for ${name}, which is stopped`);
    });
  });

const NEWER = QEMUS.find(({ facts }) => (facts.qemu?.version.major ?? 0) >= 8);
const PASST = CASES[1];
const NO_RETURN = PASST?.left ?? (NEWER ? undefined : 'no QEMU that connects again: node test/qemus.mjs gets one');

it.skipIf(NO_RETURN !== undefined)(
  `a passt that was killed is brought back${NO_RETURN ? ` (left out: ${NO_RETURN})` : ''}`,
  async () => {
    if (!PASST || !NEWER) return;
    const running = plan(PASST, NEWER.facts);
    const socket = running.sidecars[0]?.ready?.socket ?? '';
    await launch(running);
    expect(hasClient({ socket })).toBe(true);
    await kill(running, PASST.name);
    expect(await statusOf('vm', running.vm.runDir)).toMatchObject({ sidecars: [{ alive: false, restartable: true }] });
    await restartSidecar(running.vm, PASST.name, { session: {}, ezvm: [] });
    await until('QEMU to connect again', () => hasClient({ socket }));
    expect(await statusOf('vm', running.vm.runDir)).toMatchObject({ sidecars: [{ alive: true }] });
    await stop(running.vm, { force: true });
    expectNothingLeft(running);
  },
);

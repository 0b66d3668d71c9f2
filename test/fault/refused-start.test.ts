import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readState } from '../../src/admin/state.ts';
import { statusOf } from '../../src/admin/status.ts';
import { type Diagnostic, EzvmError } from '../../src/core/diagnostic.ts';
import { type LaunchOptions, launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, until, withTpm } from '../launch/plan-builder.ts';

const ORIGIN = { file: 'vm.yaml', line: 7, column: 3 };
const IS_ROOT = process.geteuid?.() === 0;

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

/** Launches a plan that must be refused with exit 3 and leave nothing; gives what was said. */
async function refused(plan: Plan, options: LaunchOptions = {}): Promise<readonly Diagnostic[]> {
  let error: unknown;
  try {
    await launch(plan, options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(EzvmError);
  expect(lab.leftovers()).toEqual([]);
  const { diagnostics, exit } = error as EzvmError;
  expect(exit).toBe(3);
  return diagnostics;
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

describe('a start on a host that lacks something', () => {
  it('says that QEMU is missing', async () => {
    const [diagnostic, ...others] = await refused(buildPlan(lab, { binary: '/usr/bin/qemu-system-none' }));
    expect(others).toEqual([]);
    expect(diagnostic).toMatchObject({
      code: 'program-missing',
      message: '/usr/bin/qemu-system-none is not installed',
    });
    expect(existsSync(join(lab.dir, 'state', 'vm'))).toBe(false);
  });

  it('says all that is missing at once', async () => {
    const server = await listen(0);
    const { port } = server.address() as { port: number };
    const disk = join(lab.dir, 'none', 'disk.img');
    const plan = buildPlan(lab, {
      requirements: [
        { kind: 'program', program: 'swtpm', help: 'install swtpm', origin: ORIGIN },
        { kind: 'path', path: disk, access: 'write', type: 'image', origin: ORIGIN },
        { kind: 'path', path: lab.dir, access: 'read', type: 'device', origin: ORIGIN },
        { kind: 'port', host: '127.0.0.1', port, protocol: 'tcp', origin: ORIGIN },
        { kind: 'unmet', code: 'qemu-lacks', message: 'this QEMU has no device x', origin: ORIGIN },
      ],
    });
    const diagnostics = await refused(plan);
    server.close();
    expect(diagnostics.map(({ code, message }) => [code, message])).toEqual([
      ['program-missing', 'swtpm is not installed'],
      ['path-missing', `disk image ${disk} does not exist, nor does the directory ${join(lab.dir, 'none')}`],
      ['path-wrong-kind', `${lab.dir} is a directory; wanted is a device`],
      ['port-taken', `tcp port 127.0.0.1:${port} is taken by another program`],
      ['qemu-lacks', 'this QEMU has no device x'],
    ]);
    for (const diagnostic of diagnostics) expect(diagnostic.origin).toEqual(ORIGIN);
    for (const { help } of diagnostics.slice(0, 4)) expect(help).toBeTruthy();
  });

  it('refuses a run directory that others can write to', async () => {
    mkdirSync(lab.runRoot);
    chmodSync(lab.runRoot, 0o777);
    const [diagnostic] = await refused(buildPlan(lab));
    expect(diagnostic?.code).toBe('run-dir-unsafe');
  });

  it('refuses sockets whose path the kernel cannot take', async () => {
    const name = 'n'.repeat(64);
    const long = { ...lab, runRoot: join(lab.dir, 'r'.repeat(40)) };
    const diagnostics = await refused(buildPlan(long, { name }));
    expect(diagnostics.map(({ code }) => code)).toEqual(['socket-path-long', 'socket-path-long']);
    for (const { help } of diagnostics) expect(help).toContain('XDG_RUNTIME_DIR');
    expect(readdirSync(long.runRoot)).toEqual([]);
  });

  it('names the variable that shortens the path of a socket', async () => {
    const plan = buildPlan(lab);
    const stateDir = join(lab.dir, 's'.repeat(100));
    const socket = join(stateDir, 'net0.sock');
    const sidecars = [{ name: 'passt', argv: ['/bin/true'], when: 'before', ready: { socket, timeout: 1 } }] as const;
    const [diagnostic] = await refused({ ...plan, vm: { ...plan.vm, stateDir }, sidecars });
    expect(diagnostic).toMatchObject({ code: 'socket-path-long', help: expect.stringContaining('XDG_STATE_HOME') });
  });

  it('refuses a state directory that is a file', async () => {
    rmSync(join(lab.dir, 'state'), { recursive: true });
    writeFileSync(join(lab.dir, 'state'), '');
    const [diagnostic] = await refused(buildPlan(lab));
    expect(diagnostic?.code).toBe('state-dir-denied');
  });
});

describe('a QEMU that refuses', () => {
  it('a device is quoted, with the place that asked for it', async () => {
    const plan = buildPlan(lab, {
      options: [
        { name: 'device', args: { driver: 'virtio-rng-pci', id: 'rng0' } },
        { name: 'device', args: { driver: 'e1000', id: 'net0', colour: 'red' }, origin: ORIGIN },
      ],
    });
    const [diagnostic] = await refused(plan);
    expect(diagnostic).toMatchObject({ code: 'qemu-refused', origin: ORIGIN });
    expect(diagnostic?.message).toMatch(/^QEMU refused to start: -device .*Property 'e1000.colour' not found$/);
    expect(readFileSync(join(plan.vm.stateDir, 'qemu.log'), 'utf8')).toContain('e1000.colour');
  });

  it('an option without quoting it is placed by the id it names', async () => {
    const plan = buildPlan(lab, {
      options: [
        { name: 'object', args: { 'qom-type': 'iothread', id: 'io0' } },
        { name: 'device', args: { driver: 'virtio-rng-pci', id: 'twice' }, origin: { ...ORIGIN, line: 1 } },
        { name: 'device', args: { driver: 'virtio-rng-pci', id: 'twice' }, origin: ORIGIN },
      ],
    });
    const [diagnostic] = await refused(plan);
    expect(diagnostic?.message).toContain('twice');
    expect(diagnostic?.origin).toBeDefined();
  });

  it('is not misquoted from an earlier run', async () => {
    await refused(buildPlan(lab, { options: [{ name: 'device', args: { driver: 'no-such-device' } }] }));
    const [diagnostic] = await refused(buildPlan(lab, { options: [{ name: 'cpu', args: 'no-such-cpu' }] }));
    expect(diagnostic?.message).not.toContain('no-such-device');
    expect(diagnostic?.message).toContain('no-such-cpu');
  });
});

describe('a sidecar that QEMU needs', () => {
  it('and that dies at once is quoted', async () => {
    const argv = ['/bin/sh', '-c', 'echo starting; echo "state is locked" >&2; exit 7'];
    const [diagnostic, ...others] = await refused(buildPlan(lab, withTpm(lab, 'vm', argv)));
    expect(others).toEqual([]);
    expect(diagnostic).toMatchObject({ code: 'sidecar-failed', origin: { file: 'vm.yaml', line: 3 } });
    expect(diagnostic?.message).toBe('swtpm exited with status 7 before it was ready:\n  starting\n  state is locked');
  });

  it('and that never gets ready is given up and ended', async () => {
    const tpm = withTpm(lab, 'vm', ['/bin/sh', '-c', `echo thinking; sleep 1000; : ${lab.dir}/`]);
    const [sidecar] = tpm.sidecars;
    const socket = join(lab.runRoot, 'vm', 'tpm.sock');
    const sidecars = sidecar ? [{ ...sidecar, ready: { socket, timeout: 0.3 } }] : [];
    const [diagnostic] = await refused(buildPlan(lab, { ...tpm, sidecars }));
    expect(diagnostic?.message).toBe(`swtpm did not open ${socket} within 0.3 s: thinking`);
  });

  it('and that cannot be executed is named', async () => {
    const script = join(lab.dir, 'not-a-program');
    writeFileSync(script, '', { mode: 0o600 });
    const [diagnostic] = await refused(buildPlan(lab, withTpm(lab, 'vm', [script])));
    expect(diagnostic?.message).toBe(`${script} cannot be executed: you may not do that`);
  });

  it.each(['swtpm: ready', 'qemu: noted', 'qemu: recorded', 'qemu: ready', 'qemu: continue'])(
    'and that is killed at "%s" is named, not QEMU',
    async (moment) => {
      const plan = buildPlan(lab, withTpm(lab));
      const [diagnostic] = await refused(plan, { onStep: killAt(plan, moment) });
      expect(diagnostic?.code).toBe('sidecar-failed');
      expect(diagnostic?.message).toMatch(/^swtpm, which QEMU needs, was killed by SIGKILL/);
    },
  );

  it('and that is killed while QEMU hangs is named at once', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const kill = killAt(plan, 'qemu: recorded');
    const [diagnostic] = await refused(plan, {
      onStep: async (moment) => {
        if (moment === 'qemu: recorded') process.kill(readState(plan.vm.runDir)?.qemu?.pid ?? 0, 'SIGSTOP');
        await kill(moment);
      },
    });
    expect(diagnostic?.message).toMatch(/^swtpm, which QEMU needs, was killed by SIGKILL/);
  });

  it('and that is killed when the guest is just let go is a warning', async () => {
    const plan = buildPlan(lab, withTpm(lab));
    const { warnings } = await launch(plan, { onStep: killAt(plan, 'qemu: continued') });
    expect(warnings.map(({ message }) => message)).toEqual(['swtpm, which QEMU needs, was killed by SIGKILL']);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  function killAt(plan: Plan, moment: string): (now: string) => Promise<void> {
    return async (now) => {
      const swtpm = now === moment ? readState(plan.vm.runDir)?.sidecars[0] : undefined;
      if (!swtpm) return;
      process.kill(swtpm.pid, 'SIGKILL');
      // Until Node has seen it, which is later than the process table.
      await until('its end', () => !existsSync(`/proc/${swtpm.pid}`));
      await new Promise((resolve) => setImmediate(resolve));
    };
  }
});

describe('a full disk', () => {
  const mounted = IS_ROOT && canMount();

  it.skipIf(!mounted)(
    `under the run directory is named, whatever it keeps from being written${mounted ? '' : ' (needs root and mount)'}`,
    async () => {
      mkdirSync(lab.runRoot, { mode: 0o700 });
      let refusals = 0;
      let starts = 0;
      for (let inodes = 2; starts === 0; inodes++) refusals += await startOn(`nr_inodes=${inodes},size=1m`);
      expect(refusals).toBeGreaterThan(4);
      starts = 0;
      refusals = 0;
      for (let pages = 1; starts === 0; pages++) refusals += await startOn(`size=${pages * 4}k`);
      expect(refusals).toBeGreaterThan(2);

      async function startOn(options: string): Promise<number> {
        mount(lab.runRoot, options);
        try {
          const plan = buildPlan(lab, withTpm(lab));
          try {
            await launch(plan);
            starts++;
            await stop(plan.vm, { force: true });
            return 0;
          } catch (error) {
            expect(error, options).toBeInstanceOf(EzvmError);
            expect((error as EzvmError).exit).toBe(3);
            expect((error as EzvmError).message, options).toMatch(/the disk is full|No space left on device|socket/);
            return 1;
          } finally {
            expect(lab.leftovers(), options).toEqual([]);
          }
        } finally {
          umount(lab.runRoot);
        }
      }
    },
  );

  it.skipIf(!mounted)(
    `where the lock is signed leaves no lock${mounted ? '' : ' (needs root and mount)'}`,
    async () => {
      mkdirSync(lab.runRoot, { mode: 0o700 });
      mount(lab.runRoot, 'size=4k');
      try {
        writeFileSync(join(lab.runRoot, '.filler'), Buffer.alloc(4096));
        const lock = join(lab.runRoot, '.vm.lock');
        await expect(launch(buildPlan(lab))).rejects.toMatchObject({
          exit: 3,
          message: `cannot start VM vm: ${lock}: the disk is full`,
        });
        expect(lab.leftovers()).toEqual(['.filler']);
      } finally {
        umount(lab.runRoot);
      }
    },
  );

  it.skipIf(!mounted)(
    `under the run directory keeps no VM from being stopped${mounted ? '' : ' (needs root and mount)'}`,
    async () => {
      mkdirSync(lab.runRoot, { mode: 0o700 });
      mount(lab.runRoot, 'size=256k');
      try {
        const plan = buildPlan(lab, withTpm(lab));
        await launch(plan);
        expect(() => writeFileSync(join(lab.runRoot, '.filler'), Buffer.alloc(2 ** 20))).toThrow('ENOSPC');
        expect((await statusOf('vm', plan.vm.runDir)).condition).toBe('running');
        await stop(plan.vm, { force: true });
        expect(lab.leftovers()).toEqual(['.filler']);
      } finally {
        umount(lab.runRoot);
      }
    },
  );

  it.skipIf(!mounted)(
    `under the state directory leaves no half of a copied file${mounted ? '' : ' (needs root and mount)'}`,
    async () => {
      const state = join(lab.dir, 'state');
      mount(state, 'size=64k');
      try {
        const from = join(lab.dir, 'big');
        const to = join(state, 'vm', 'VARS.fd');
        writeFileSync(from, Buffer.alloc(1024 * 1024));
        const [diagnostic] = await refused(buildPlan(lab, { steps: [{ do: 'copy', from, to, mode: 0o600 }] }));
        expect(diagnostic?.message).toBe(`cannot copy ${from} to ${to}: the disk is full`);
        expect(readdirSync(state)).toEqual([]);
      } finally {
        umount(state);
      }
    },
  );

  function canMount(): boolean {
    const dir = mkdtempSync(join(tmpdir(), 'ezvm-m-'));
    const works = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'ezvm-test', dir]).status === 0;
    if (works) spawnSync('umount', [dir]);
    rmSync(dir, { recursive: true });
    return works;
  }

  function mount(dir: string, options: string): void {
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `mode=700,${options}`, 'ezvm-test', dir]);
    expect(status, String(stderr)).toBe(0);
  }

  /** Fails when something still has a file open there. */
  function umount(dir: string): boolean {
    const clean = spawnSync('umount', [dir]).status === 0;
    if (!clean) spawnSync('umount', ['-l', dir]);
    expect(clean, `${dir} is in use`).toBe(true);
    return clean;
  }
});

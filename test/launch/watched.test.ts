import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SidecarStatus } from '../../src/admin/crash.ts';
import { endPath } from '../../src/admin/exit.ts';
import { identify, isAlive } from '../../src/admin/process.ts';
import { statusOf } from '../../src/admin/status.ts';
import { launch } from '../../src/launch/launch.ts';
import { restartSidecar } from '../../src/launch/restart.ts';
import { stop } from '../../src/launch/stop.ts';
import { startWatched } from '../../src/launch/watched.ts';
import type { Plan, Sidecar } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, until } from './plan-builder.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

/** A VM with a viewer that is a script for the shell, whose folder is `$1`. */
function withViewer(script: string, more: Partial<Sidecar> = {}): Plan {
  const argv = ['/bin/sh', '-c', script, 'viewer', `${lab.dir}/`];
  return buildPlan(lab, { sidecars: [{ name: 'viewer', argv, when: 'after', ...more }] });
}

async function viewer({ vm }: Plan): Promise<SidecarStatus> {
  const [only] = (await statusOf('vm', vm.runDir)).sidecars;
  if (!only) throw new Error('no sidecar');
  return only;
}

/** Waits until status tells how the viewer ended. */
async function ended(plan: Plan): Promise<SidecarStatus> {
  await until('its reason', async () => (await viewer(plan)).reason !== undefined);
  return viewer(plan);
}

/** The numbers of the shells that watch something of this lab. */
function watchers(): number[] {
  return lab
    .processes()
    .filter(({ argv }) => argv[3] === 'ezvm-watch')
    .map(({ pid }) => pid);
}

describe('a sidecar that ends when its ezvm has gone on', () => {
  it.each([
    ['with a status', 'exit 3', 'exited with status 3'],
    ['well', 'exit 0', 'exited with status 0'],
    ['by a signal', 'kill -SEGV $$', 'was killed by SIGSEGV'],
  ])('%s is told by status with how and when, and its last words', async (_, end, reason) => {
    const plan = withViewer(`echo "last words"; until [ -e "$1/go" ]; do sleep 0.05; done; ${end}`);
    const before = Date.now();
    await launch(plan);
    expect(await viewer(plan)).toMatchObject({ alive: true });
    expect(watchers()).toHaveLength(1);
    mkdirSync(join(lab.dir, 'go'));
    const told = await ended(plan);
    expect(told).toMatchObject({ alive: false, reason, said: ['last words'] });
    expect(Date.parse(told.ended ?? '')).toBeGreaterThanOrEqual(before - 1000);
    await until('the end of its watcher', () => watchers().length === 0);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('is restarted, and what is told is of the later one', async () => {
    const plan = withViewer('sleep 600');
    await launch(plan);
    const first = await viewer(plan);
    process.kill(first.pid ?? 0, 'SIGSEGV');
    await ended(plan);
    await restartSidecar(plan.vm, 'viewer', { session: {}, ezvm: [] });
    const second = await viewer(plan);
    expect(second).toMatchObject({ alive: true });
    expect(second).not.toHaveProperty('reason');
    process.kill(second.pid ?? 0, 'SIGABRT');
    expect(await ended(plan)).toMatchObject({ pid: second.pid, reason: 'was killed by SIGABRT' });
    await restartSidecar(plan.vm, 'viewer', { session: {}, ezvm: [] });
    await restartSidecar(plan.vm, 'viewer', { session: {}, ezvm: [] });
    expect(await viewer(plan)).toMatchObject({ alive: true });
    await until('the end of the watcher of the one before', () => watchers().length === 1);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('is ended by stop with what it has started', async () => {
    const plan = withViewer('sleep 600 & sh -c "sleep 600; : $1"; :');
    await launch(plan);
    await until('what it starts', () => lab.processes().some(({ argv }) => argv[2]?.startsWith('sleep 600; :')));
    await stop(plan.vm, { force: true });
    await until('the end of all', () => lab.leftovers().length === 0);
  });

  it('and is stopped has not ended', async () => {
    const plan = withViewer('sleep 600');
    await launch(plan);
    const { pid = 0 } = await viewer(plan);
    process.kill(pid, 'SIGSTOP');
    await until('its stop', async () => (await viewer(plan)).stopped === true);
    expect(readFileSync(endPath(plan.vm.runDir, 'viewer'), 'utf8')).toBe('');
    expect(watchers()).toHaveLength(1);
    process.kill(pid, 'SIGCONT');
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('the watcher of a sidecar', () => {
  it('that is killed takes nothing with it, and is missed by no verb', async () => {
    const plan = withViewer('sleep 600');
    await launch(plan);
    for (const pid of watchers()) process.kill(pid, 'SIGKILL');
    await until('its end', () => watchers().length === 0);
    const one = await viewer(plan);
    expect(one.alive).toBe(true);
    process.kill(one.pid ?? 0, 'SIGKILL');
    await until('the end of the viewer', async () => !(await viewer(plan)).alive);
    expect(await viewer(plan)).not.toHaveProperty('reason');
    await restartSidecar(plan.vm, 'viewer', { session: {}, ezvm: [] });
    expect(watchers()).toHaveLength(1);
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('that is stopped keeps nobody from stopping the VM', async () => {
    const plan = withViewer('sleep 600');
    await launch(plan);
    for (const pid of watchers()) process.kill(pid, 'SIGSTOP');
    await stop(plan.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('has its file open and nothing else, and that is for the user alone', async () => {
    const plan = withViewer('sleep 600');
    await launch(plan);
    const end = endPath(plan.vm.runDir, 'viewer');
    expect(statSync(end).mode & 0o777).toBe(0o600);
    const [pid = 0] = watchers();
    const files = (): string[] => openFiles(pid);
    await until('its silence', () => !files().some((name) => name.endsWith('.log')));
    expect(new Set(files())).toEqual(new Set(['0:/dev/null', `1:${end}`, '2:/dev/null']));
    expect(openFiles((await viewer(plan)).pid ?? 0).join(' ')).not.toContain(end);
    await stop(plan.vm, { force: true });
  });

  it('is not needed where ezvm itself stays', async () => {
    const plan = withViewer('until [ -e "$1/go" ]; do sleep 0.05; done; exit 3');
    const attended = launch(plan, { foreground: true });
    await until('the viewer', async () => (await statusOf('vm', plan.vm.runDir)).sidecars.length === 1);
    expect(watchers()).toEqual([]);
    mkdirSync(join(lab.dir, 'go'));
    expect((await ended(plan)).reason).toBe('exited with status 3');
    await stop(plan.vm, { force: true });
    await attended;
    expect(lab.leftovers()).toEqual([]);
  });

  it('lets a program begin when it is told to, and ends with it where it never is', async () => {
    const end = join(lab.dir, 'one.end');
    const options = { stateDir: join(lab.dir, 'state'), environment: {} };
    const argv = ['/bin/sh', '-c', 'touch "$1/begun"; exit 200', 'sh', `${lab.dir}/`];
    const silent = await startWatched('one', argv, options, end);
    expect(watchers()).toContain(silent.watched?.by.pid);
    silent.release();
    await silent.ended;
    expect(isAlive(silent.identity)).toBe(false);
    expect(existsSync(join(lab.dir, 'begun'))).toBe(false);

    const told = await startWatched('one', argv, options, end);
    expect(identify(told.identity.pid)).toEqual(told.identity);
    told.watched?.begin();
    expect(await told.ended).toEqual({ code: 200, signal: null });
    expect(readFileSync(end, 'utf8')).toBe(`${told.identity.pid} 200\n`);
    expect(existsSync(join(lab.dir, 'begun'))).toBe(true);
  });

  it('hands every word on as it is', async () => {
    const hostile = [
      '$(exit 9)',
      '`exit 9`',
      "'; exit 9; '",
      '"',
      '\n\nexit 9\n',
      '-c',
      '--help',
      '',
      '*',
      '\\',
      '${PATH}',
      'ü\u001b[2J',
    ];
    const script = "require('fs').writeFileSync(process.argv[1], JSON.stringify(process.argv.slice(2)))";
    const told = join(lab.dir, 'told');
    const argv = [process.execPath, '-e', script, '--', told, ...hostile];
    const options = { stateDir: join(lab.dir, 'state'), environment: { PATH: '/nowhere', IFS: '/', ENV: '/nowhere' } };
    const child = await startWatched('one', argv, options, join(lab.dir, 'one.end'));
    child.watched?.begin();
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(JSON.parse(readFileSync(told, 'utf8'))).toEqual(hostile);
  });

  it('starts nothing that cannot be executed', async () => {
    const options = { stateDir: join(lab.dir, 'state'), environment: {} };
    const missing = startWatched('one', [join(lab.dir, 'none')], options, join(lab.dir, 'one.end'));
    await expect(missing).rejects.toMatchObject({
      exit: 3,
      message: expect.stringContaining('none cannot be executed'),
    });
    expect(watchers()).toEqual([]);
  });
});

/** What a process has open, as `number:path`, without what this test was started with. */
function openFiles(pid: number): string[] {
  const inherited = new Set(readdirSync('/proc/self/fd').flatMap((fd) => link('self', fd) ?? []));
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => `${fd}:${link(pid, fd)}`)
    .filter((one) => Number.parseInt(one, 10) <= 9 || !inherited.has(one.slice(one.indexOf(':') + 1)));
}

function link(pid: number | 'self', fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

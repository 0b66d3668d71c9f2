import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { until } from '../launch/plan-builder.ts';
import { Desk, lacking } from './desk.ts';
import { colours } from './picture.ts';

const LACKING = XVFB === undefined ? 'Xvfb' : lacking('remote-viewer', 'xdotool');

async function open(yaml: string): Promise<Desk> {
  const desk = await Desk.open(yaml);
  onTestFinished(() => desk.close());
  // It would ask whether it may close.
  mkdirSync(join(desk.machine.dir, 'config', 'virt-viewer'), { recursive: true });
  writeFileSync(join(desk.machine.dir, 'config', 'virt-viewer', 'settings'), '[virt-viewer]\nask-quit=false\n');
  return desk;
}

/** Clicks the cross in the corner of the viewer's window. */
async function closeWindow(desk: Desk): Promise<void> {
  const { right, top } = desk.bounds();
  const click = ['mousemove', String(right - 27), String(top + 27), 'click', '1'];
  const { status, stderr } = spawnSync('xdotool', click, {
    env: { ...process.env, DISPLAY: desk.display },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

describe.skipIf(LACKING !== undefined)(`the SPICE viewer${LACKING ? ` (left out: no ${LACKING})` : ''}`, () => {
  it('may be closed, and opened again, and the VM runs on', async () => {
    const desk = await open('display: spice');
    await desk.machine.start();
    await desk.seesGuest();
    await closeWindow(desk);
    await until('an empty screen', () => colours(desk.look()) === 1);
    await until('its end', async () => (await desk.machine.status()).sidecars[0]?.reason !== undefined);
    const { condition, sidecars } = await desk.machine.status();
    expect(condition).toBe('running');
    expect(sidecars).toMatchObject([{ name: 'viewer', alive: false, reason: 'exited with status 0' }]);
    expect(await desk.machine.ezvm('view', 'vm')).toMatchObject({ exit: 0 });
    await desk.seesGuest();
    expect((await desk.machine.ezvm('view', 'vm')).err).toContain('open already');
  });

  it('that crashes is told with how, and opened again', async () => {
    const desk = await open('display: spice');
    await desk.machine.start();
    await desk.seesGuest();
    const [viewer] = (await desk.machine.status()).sidecars;
    process.kill(viewer?.pid ?? 0, 'SIGSEGV');
    await until('the reason of its end', async () => (await desk.machine.status()).sidecars[0]?.reason !== undefined);
    const { out } = await desk.machine.ezvm('status', 'vm');
    expect(out).toMatch(/^ {2}sidecar {2}viewer: was killed by SIGSEGV at \d+:\d+/m);
    expect(out).toContain('help   ezvm view vm');
    expect(await desk.machine.ezvm('view', 'vm')).toMatchObject({ exit: 0 });
    await desk.seesGuest();
  });

  it('that hangs is told with what brings another', async () => {
    const desk = await open('display: spice');
    await desk.machine.start();
    await desk.seesGuest();
    const [viewer] = (await desk.machine.status()).sidecars;
    process.kill(viewer?.pid ?? 0, 'SIGSTOP');
    const command = 'ezvm restart-sidecar vm viewer';
    const told = async (): Promise<string> => (await desk.machine.ezvm('status', 'vm')).out;
    await until('its stop', async () => (await told()).includes(`viewer: stopped (pid ${viewer?.pid})`));
    expect(await told()).toContain(
      `help   let it go on: kill -CONT ${viewer?.pid}, or end it for another: ${command}\n`,
    );
    expect((await desk.machine.ezvm('view', 'vm')).err).toContain(
      `open already\n  where it shows nothing: ${command}\n`,
    );
    expect(await desk.machine.ezvm('restart-sidecar', 'vm', 'viewer')).toMatchObject({ exit: 0 });
    await desk.seesGuest();
    expect(await told()).not.toContain('help');
  });

  it('takes the VM with it when it is closed, where that is asked for', async () => {
    const desk = await open('display: { type: spice, on-close: stop }');
    await desk.machine.start();
    await desk.seesGuest();
    await closeWindow(desk);
    await until('the end of the VM', async () => (await desk.machine.status()).condition === 'stopped');
  });

  it('is restarted', async () => {
    const desk = await open('display: spice');
    await desk.machine.start();
    const [first] = (await desk.machine.status()).sidecars;
    expect(await desk.machine.ezvm('restart-sidecar', 'vm', 'viewer')).toMatchObject({ exit: 0 });
    const [second] = (await desk.machine.status()).sidecars;
    expect(second?.pid).not.toBe(first?.pid);
    await desk.seesGuest();
    const live = desk.display;
    Object.assign(desk.machine.env, { DISPLAY: ':59002' });
    const refused = await desk.machine.ezvm('restart-sidecar', 'vm', 'viewer');
    expect(refused.exit).toBe(3);
    expect(refused.err).toContain('viewer: no window can be opened: DISPLAY is :59002');
    Object.assign(desk.machine.env, { DISPLAY: live });
    expect((await desk.machine.status()).sidecars).toMatchObject([{ pid: second?.pid, alive: true }]);
  });

  it('on a screen that is dead is a warning, and opens on one that lives', async () => {
    const desk = await open('display: spice');
    const live = desk.display;
    Object.assign(desk.machine.env, { DISPLAY: ':59002' });
    const { err } = await desk.machine.start();
    expect(err).toContain('DISPLAY is :59002, and there is no /tmp/.X11-unix/X59002');
    expect(err).toContain('the VM starts without it');
    expect((await desk.machine.ezvm('view', 'vm')).err).toContain('cannot open display: :59002');
    expect((await desk.machine.status()).sidecars).toMatchObject([{ alive: false, reason: 'exited with status 1' }]);
    Object.assign(desk.machine.env, { DISPLAY: live });
    expect(await desk.machine.ezvm('view', 'vm')).toMatchObject({ exit: 0 });
    await desk.seesGuest();
  });

  it('fills the screen where that is asked for', async () => {
    const desk = await open('display: { type: spice, full-screen: on }');
    await desk.machine.start();
    await desk.machine.waitFor('EZVM-UP');
    const { width, height } = desk.look();
    await until('a full screen', () => {
      const { left, top, right, bottom } = desk.bounds();
      return right - left > width * 0.9 && bottom - top > height * 0.9;
    });
  });
});

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { AS_ROOT, Machine } from '../boot/machine.ts';
import { CHECKOUT } from '../checkout.ts';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { requestClose } from './close-request.ts';
import { Desk, lacking } from './desk.ts';

const LACKING = XVFB === undefined ? 'Xvfb' : lacking('xdotool');

/** The windows on a screen that bear the VM's name. */
function windowsOf(desk: Desk): number[] {
  const { stdout } = spawnSync('xdotool', ['search', '--onlyvisible', '--name', 'QEMU \\(vm'], {
    env: { ...process.env, DISPLAY: desk.display },
    encoding: 'utf8',
  });
  return stdout.split('\n').filter(Boolean).map(Number);
}

describe.skipIf(LACKING !== undefined)(`a window of QEMU's own${LACKING ? ` (left out: no ${LACKING})` : ''}`, () => {
  it.each(['gtk', 'sdl'])('of %s has the name of the VM, and ends it when it is closed', async (type) => {
    const desk = await Desk.open(`display: { type: ${type}, gl: off }`);
    onTestFinished(() => desk.close());
    await desk.machine.start();
    await until('the window', () => windowsOf(desk).length === 1);
    await requestClose(desk.display, windowsOf(desk)[0] ?? 0);
    await until('the end of the VM', async () => (await desk.machine.status()).condition === 'stopped');
  });

  it.each(['gtk', 'sdl'])('of %s may be asked to stay', async (type) => {
    const desk = await Desk.open(`display: { type: ${type}, gl: off, window-close: off }`);
    onTestFinished(() => desk.close());
    await desk.machine.start();
    await until('the window', () => windowsOf(desk).length === 1);
    await requestClose(desk.display, windowsOf(desk)[0] ?? 0);
    // Whoever obeyed would do so before it answers the next question.
    await desk.dump();
    expect((await desk.machine.status()).condition).toBe('running');
    expect(windowsOf(desk)).toHaveLength(1);
  });
});

const PLAIN =
  'template: none\nfirmware: bios\nmachine: pc\nmemory: 32M\nserial: log\ndisks: [{ file: guest.raw, bus: ide }]\n';
const NO_SESSION = { DISPLAY: undefined, WAYLAND_DISPLAY: undefined, DBUS_SESSION_BUS_ADDRESS: undefined };

function machine(yaml: string, env: Record<string, string | undefined>): Machine {
  const made = new Machine(`${PLAIN}${yaml}`);
  onTestFinished(() => made.remove());
  Object.assign(made.env, env);
  writeGuestDisk(join(made.dir, 'guest.raw'), 'plain');
  return made;
}

describe('without a session', () => {
  it('a VM without a screen and a card runs all the same, and finds none', async () => {
    const headless = machine('gpu: none\ndisplay: none\n', NO_SESSION);
    const { err } = await headless.start();
    expect(err).not.toContain('session');
    await headless.waitFor('EZVM-UP');
    const { pid } = await headless.status();
    const inherited = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(inherited.filter((one) => /^(WAYLAND_)?DISPLAY=/.test(one))).toEqual([]);
  });

  it.each([
    ['gtk', NO_SESSION, 'display gtk: there is no graphical session'],
    ['sdl', { ...NO_SESSION, DISPLAY: ':59001' }, 'display sdl: no window can be opened: DISPLAY is :59001'],
    ['dbus', NO_SESSION, 'display dbus: there is no session bus'],
    ['curses', NO_SESSION, 'display curses: it draws on the terminal'],
  ])('%s is refused before anything is begun', async (type, env, reason) => {
    const refused = machine(`gpu: std\ndisplay: ${type}\n`, env);
    const { exit, err } = await refused.ezvm(refused.file, ...AS_ROOT);
    expect(err).toContain(reason);
    expect(exit).toBe(3);
    expect(existsSync(join(refused.dir, 'state', 'ezvm', 'vm'))).toBe(false);
    const run = join(refused.dir, 'run', 'ezvm');
    expect(existsSync(run) ? readdirSync(run).filter((name) => name === 'vm') : []).toEqual([]);
  });
});

const NO_TERMINALS = lacking('script');

describe.skipIf(NO_TERMINALS !== undefined)(
  `a terminal${NO_TERMINALS ? ` (left out: no ${NO_TERMINALS})` : ''}`,
  () => {
    it('shows the text screen of the guest, in the foreground', async () => {
      const drawn = machine('gpu: std\ndisplay: curses\n', {
        ...NO_SESSION,
        TERM: 'linux',
        LINES: '30',
        COLUMNS: '100',
      });
      const words = [
        process.execPath,
        join(CHECKOUT, 'bin', 'ezvm.js'),
        'start',
        '--foreground',
        ...AS_ROOT,
        drawn.file,
      ];
      const child = spawn('script', ['-qec', words.map((word) => `'${word}'`).join(' '), '/dev/null'], {
        env: drawn.env as NodeJS.ProcessEnv,
        // `script` without any input would end at once.
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      let shown = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        shown += text;
      });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      await until('the firmware on the terminal', () => shown.includes('SeaBIOS'));
      await drawn.waitFor('EZVM-UP');
      await drawn.ezvm('stop', 'vm', '--timeout', '60');
      expect(await ended).toBe(0);
    });
  },
);

import { describe, expect, it } from 'vitest';
import { sizeFor } from '../../src/plan/resolvers/looking-glass.ts';
import { clientHost } from '../../src/plan/resolvers/viewer.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

const MIB = 1024 * 1024;

function plan(display: string): ReturnType<typeof planOf> {
  return planOf(
    `template: none\nname: vm\ndisplay: { type: looking-glass, ${display} }\n`,
    CATALOG,
    hostFacts('laptop'),
  );
}

describe('the memory of Looking Glass', () => {
  // The table in its own documentation.
  it.each([
    ['1920x1080', 32, 64],
    ['1920x1200', 32, 64],
    ['2560x1440', 64, 128],
    ['1366x768', 32, 32],
    ['3840x2160', 128, 256],
  ])('for %s is %i MiB, and %i with HDR', (resolution, sdr, hdr) => {
    expect(sizeFor(resolution, false)).toBe(sdr * MIB);
    expect(sizeFor(resolution, true)).toBe(hdr * MIB);
  });

  it('is a file where a file is meant, and a device else', () => {
    const file = plan('device: /dev/shm/vm, resolution: 1920x1080');
    const step = { do: 'memory-file', path: '/dev/shm/vm', size: 32 * MIB, mode: 0o600 };
    expect(file.steps).toContainEqual(expect.objectContaining(step));
    expect(file.requirements).not.toContainEqual(expect.objectContaining({ path: '/dev/shm/vm' }));
    const device = plan('resolution: 2560x1440');
    expect(device.steps.filter((step) => step.do === 'memory-file')).toEqual([]);
    // Nobody named the device: what is to blame is the line that asks for the display, and no template.
    const origin = expect.objectContaining({ file: 'vm.yaml', line: 3 });
    expect(device.requirements).toContainEqual(
      expect.objectContaining({ kind: 'kvmfr', path: '/dev/kvmfr0', bytes: 64 * MIB, origin }),
    );
  });

  it('may be given, but is a power of two, and told when it is too little', () => {
    expect(plan('size: 256M').notes).toEqual(plan('').notes);
    expect(plan('size: 32M').notes).toEqual(plan('').notes);
    expect(plan('size: 32M, resolution: 2560x1440').notes).toContainEqual(
      expect.objectContaining({ code: 'memory-small' }),
    );
    expect(() => plan('size: 48M')).toThrow('48M, which is no power of two');
  });
});

describe('the address of a server, for a client beside it', () => {
  it.each([
    ['0.0.0.0', '127.0.0.1'],
    ['', '127.0.0.1'],
    ['::', '::1'],
    ['192.168.1.2', '192.168.1.2'],
    ['::1', '::1'],
  ])('%j is %s', (addr, host) => expect(clientHost(addr)).toBe(host));
});

/** Every option of the client B6, by module, from its sources; B7 knows all of them, and eleven more. */
const OPTIONS: Readonly<Record<string, string>> = {
  app: 'allowDMA configFile cursorPollInterval framePollInterval license renderer shmFile',
  audio: 'bufferLatency micDefault micShowIndicator periodSize',
  egl: 'cbMode debug doubleBuffer multisample noBufferAge noSwapDamage nvGain nvGainMax preset scale scalePointer vsync',
  eglFilter:
    'downscale downscaleFilter downscaleHOffset downscalePixelSize downscaleVOffset ffxCAS ffxCASSharpness ffxFSR ffxFSRSharpness order',
  input:
    'autoCapture captureOnly escapeKey grabKeyboard grabKeyboardOnFocus helpMenuDelay hideCursor ignoreWindowsKeys mouseRedraw mouseSens mouseSmoothing rawMouse releaseKeysOnFocusLoss',
  opengl: 'amdPinnedMem mipmap preventBuffer vsync',
  spice:
    'alwaysShowCursor audio captureOnStart clipboard clipboardToLocal clipboardToVM enable host input port scaleCursor showCursorDot',
  wayland: 'fractionScale warpSupport',
  win: 'alerts allowResize autoResize autoScreensaver borderless dontUpscale forceAspect fpsMin fullScreen ignoreQuit intUpscale jitRender keepAspect maximize minimizeOnFocusLoss noScreensaver overlayDimsDesktop position quickSplash rotate showFPS shrinkOnUpscale size title uiFont uiSize',
};

describe('the Looking Glass client', () => {
  it('is told nothing that the client B6 would pass over', () => {
    const everything =
      'window: 640x480, escape-key: KEY_F12, raw-mouse: on, renderer: egl, vsync: on, sound: off, clipboard: off';
    const words =
      plan(everything)
        .sidecars.find(({ name }) => name === 'looking-glass-client')
        ?.argv.slice(1) ?? [];
    expect(words).toHaveLength(14);
    const unknown = words.filter((word) => {
      const [, module = '', option = ''] = /^(\w+):(\w+)=./.exec(word) ?? [];
      return !OPTIONS[module]?.split(' ').includes(option);
    });
    expect(unknown).toEqual([]);
  });
});

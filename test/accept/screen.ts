import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';

/** The X server without a screen: windows must not open on the desk of whoever runs the tests. */
export const XVFB = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((dir) => join(dir, 'Xvfb'))
  .find((path) => existsSync(path));

/** A screen that nobody sees. */
export interface Screen {
  /** What a window finds it by, and nothing else. */
  readonly env: Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
}

/**
 * Starts Xvfb where it is installed; else windows have nowhere to open.
 * @param folder where the server keeps what it shows, in the file `Xvfb_screen0`
 */
export async function openScreen(folder?: string): Promise<Screen> {
  if (XVFB === undefined) return { env: {}, close: async () => {} };
  // Without -noreset it starts anew when the last window is gone, under the feet of the next.
  const options = ['-displayfd', '3', '-noreset', '-screen', '0', '1024x768x24', '-nolisten', 'tcp'];
  // Other users of the machine may open windows as well.
  if (folder !== undefined) options.push('-fbdir', folder, '-ac');
  const words = ['--pdeathsig=KILL', XVFB, ...options];
  const child = spawn('/usr/bin/setpriv', words, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const number = await new Promise<string>((resolve, reject) => {
    (child.stdio[3] as Readable).setEncoding('utf8').once('data', (text: string) => resolve(text.trim()));
    void gone.then(() => reject(new Error('Xvfb ended')));
  });
  return {
    env: {
      DISPLAY: `:${number}`,
      GDK_BACKEND: 'x11',
      SDL_VIDEODRIVER: 'x11',
      NO_AT_BRIDGE: '1',
      // The Mesas of two releases take one cache of shaders for their own: SIGBUS in the file that the other cuts short.
      MESA_SHADER_CACHE_DISABLE: 'true',
    },
    close: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { Desk, lacking } from './desk.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What is shown, by which program, with `PORT` for a free one, and its name in the gallery. */
const DISPLAYS: readonly { what: string; program?: string; yaml: string; gallery?: string }[] = [
  { what: "gtk, QEMU's own window", yaml: 'display: { type: gtk, gl: off }', gallery: 'gtk' },
  { what: 'gtk with OpenGL', yaml: 'display: { type: gtk, gl: on }' },
  { what: "sdl, QEMU's own window", yaml: 'display: { type: sdl, gl: off }', gallery: 'sdl' },
  { what: 'sdl with OpenGL', yaml: 'display: { type: sdl, gl: on }' },
  { what: 'SPICE on a socket in remote-viewer', program: 'remote-viewer', yaml: 'display: spice', gallery: 'spice' },
  { what: 'SPICE on a socket in spicy', program: 'spicy', yaml: 'display: { type: spice, viewer: spicy }' },
  {
    what: 'SPICE on a port in remote-viewer',
    program: 'remote-viewer',
    yaml: 'display: spice\nspice: { type: tcp, port: PORT }',
  },
  {
    what: 'SPICE on a port in spicy',
    program: 'spicy',
    yaml: 'display: { type: spice, viewer: spicy }\nspice: { type: tcp, port: PORT }',
  },
  {
    what: 'VNC on a socket in vncviewer',
    program: 'vncviewer',
    yaml: 'display: { type: vnc, open: on }',
    gallery: 'vnc',
  },
  {
    what: 'VNC on a port in vncviewer',
    program: 'vncviewer',
    yaml: 'display: { type: vnc, open: on, viewer: vncviewer }\nvnc: { type: tcp, number: NUMBER }',
  },
  {
    what: 'VNC on a port in remote-viewer',
    program: 'remote-viewer',
    yaml: 'display: { type: vnc, open: on, viewer: remote-viewer }\nvnc: { type: tcp, number: NUMBER }',
  },
];

describe('a display shows what the guest paints', () => {
  for (const { what, program, yaml, gallery } of DISPLAYS) {
    const lack = XVFB === undefined ? 'Xvfb' : program && lacking(program);
    it.skipIf(lack !== undefined)(lack ? `${what} (left out: no ${lack})` : what, async () => {
      const port = await freePort();
      const desk = await Desk.open(yaml.replace('PORT', String(port)).replace('NUMBER', String(port - 5900)));
      onTestFinished(() => desk.close());
      const { err } = await desk.machine.start();
      expect(err).not.toContain('viewer');
      await desk.seesGuest(gallery);
    });
  }
});

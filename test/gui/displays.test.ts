import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeCertificates } from '../../src/launch/certificates.ts';
import { XVFB } from '../accept/screen.ts';
import { freePorts } from '../ports.ts';
import { Desk, lacking } from './desk.ts';

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
      const [port = 0] = await freePorts(1);
      const desk = await Desk.open(yaml.replace('PORT', String(port)).replace('NUMBER', String(port - 5900)));
      onTestFinished(() => desk.close());
      const { err } = await desk.machine.start();
      expect(err).not.toContain('viewer');
      await desk.seesGuest(gallery);
    });
  }
});

/** Screens that ask for a password, which ezvm tells the viewer; `TLS` is the directory of the certificates. */
const LOCKED: typeof DISPLAYS = [
  {
    what: 'SPICE on a port with a password in remote-viewer',
    program: 'remote-viewer',
    yaml: 'display: spice\nspice: { type: tcp, port: PORT, password-file: secret }',
  },
  {
    what: 'SPICE on every address in remote-viewer',
    program: 'remote-viewer',
    yaml: 'display: spice\nspice: { type: network, port: PORT, password-file: secret, tls: TLS }',
  },
  {
    what: 'VNC on a port with a password in vncviewer',
    program: 'vncviewer',
    yaml: 'display: { type: vnc, open: on }\nvnc: { type: tcp, number: NUMBER, password-file: secret }',
  },
  {
    what: 'VNC on a port with a password in remote-viewer',
    program: 'remote-viewer',
    yaml: 'display: { type: vnc, open: on, viewer: remote-viewer }\nvnc: { type: tcp, number: NUMBER, password-file: secret }',
  },
  {
    what: 'VNC on every address in vncviewer',
    program: 'vncviewer',
    yaml: 'display: { type: vnc, open: on }\nvnc: { type: network, number: NUMBER, password-file: secret, tls: TLS }',
  },
];

describe('a display that asks for a password is opened by itself', () => {
  for (const { what, program, yaml } of LOCKED) {
    const lack = XVFB === undefined ? 'Xvfb' : lacking(program ?? '', 'openssl');
    it.skipIf(lack !== undefined)(lack ? `${what} (left out: no ${lack})` : what, async () => {
      const [port = 0] = await freePorts(1);
      const tls = mkdtempSync(join(tmpdir(), 'ezvm-tls-'));
      onTestFinished(() => rmSync(tls, { recursive: true }));
      makeCertificates(tls, ['localhost', '127.0.0.1']);
      const number = String(port - 5900);
      const desk = await Desk.open(yaml.replace('PORT', String(port)).replace('NUMBER', number).replace('TLS', tls));
      onTestFinished(() => desk.close());
      writeFileSync(join(desk.machine.dir, 'secret'), 'a\\\\b c1\n', { mode: 0o600 });
      const { err } = await desk.machine.start();
      expect(err).not.toContain('viewer');
      await desk.seesGuest();
      const { stdout } = spawnSync('ps', ['-eww', '-o', 'args='], { encoding: 'utf8' });
      expect(stdout).not.toContain('a\\\\b c1');
    });
  }
});

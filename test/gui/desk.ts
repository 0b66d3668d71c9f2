import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, programDirs } from '../../src/host/programs.ts';
import { openScreen, type Screen } from '../accept/screen.ts';
import { Machine } from '../boot/machine.ts';
import { CHECKOUT } from '../checkout.ts';
import { type Guest, writeGuestDisk } from '../guests/boot-sector.ts';
import { until } from '../launch/plan-builder.ts';
import { type Bounds, boundsOf, colours, type Picture, readPpm, readXwd, share, trimmed, writePng } from './picture.ts';

/** Set to anything, it has the pictures in the README made anew. */
const CRASHING = 'looking-glass-client';
const GALLERY = process.env['EZVM_GALLERY'] === undefined ? undefined : join(CHECKOUT, 'docs', 'gallery');

/** The first of these programs that is not installed. */
export function lacking(...programs: readonly string[]): string | undefined {
  const dirs = programDirs(process.env['PATH'], process.geteuid?.() ?? 0);
  return programs.find((program) => !findProgram(program, dirs));
}

/** A screen with one VM whose guest paints a picture. */
export class Desk {
  readonly machine: Machine;
  readonly #screen: Screen;
  readonly #folder: string;
  /** Whose the VM is, where that is somebody else. */
  readonly #uid: number | undefined;

  private constructor(machine: Machine, screen: Screen, folder: string, uid: number | undefined) {
    this.#uid = uid;
    this.machine = machine;
    this.#screen = screen;
    this.#folder = folder;
  }

  /** Opens the screen; the VM is described by `yaml`, beside its disk and its card. */
  static async open(yaml: string, { guest = 'painter', uid }: { guest?: Guest; uid?: number } = {}): Promise<Desk> {
    const folder = mkdtempSync(join(tmpdir(), 'ezvm-gui-'));
    const screen = await openScreen(folder);
    const machine = new Machine(
      `template: none\nfirmware: bios\nmachine: pc\nmemory: 32M\ngpu: std\nserial: log\ndisks: [{ file: guest.raw, bus: ide }]\n${yaml}\n`,
      uid === undefined ? [] : ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'],
    );
    Object.assign(machine.env, { WAYLAND_DISPLAY: undefined, XAUTHORITY: undefined, ...screen.env });
    mkdirSync(join(machine.dir, 'run'), { mode: 0o700 });
    writeGuestDisk(join(machine.dir, 'guest.raw'), guest);
    const desk = new Desk(machine, screen, folder, uid);
    desk.handOver();
    return desk;
  }

  /** Gives all that is in the VM's folder to its owner. */
  handOver(): void {
    if (this.#uid !== undefined) execFileSync('chown', ['-R', `${this.#uid}:${this.#uid}`, this.machine.dir]);
  }

  get display(): string {
    return this.#screen.env['DISPLAY'] ?? '';
  }

  /** What the screen shows now. */
  look(): Picture {
    return readXwd(join(this.#folder, 'Xvfb_screen0'));
  }

  /** Where on the screen there is something. */
  bounds(): Bounds {
    return boundsOf(this.look());
  }

  /** What the guest shows now, as QEMU itself sees it. */
  async dump(): Promise<Picture> {
    const file = join(this.machine.dir, 'dump.ppm');
    const { exit, err } = await this.machine.ezvm('qmp', 'vm', 'screendump', JSON.stringify({ filename: file }));
    if (exit !== 0) throw new Error(err);
    return readPpm(file);
  }

  /** Waits until the screen shows what the guest shows, which must be a picture worth the name. */
  async seesGuest(galleryName?: string): Promise<void> {
    await this.machine.waitFor('EZVM-UP');
    await this.sees(await this.dump(), galleryName);
  }

  /** Waits until the screen shows a picture. */
  async sees(picture: Picture, galleryName?: string): Promise<void> {
    if (colours(picture) < 4) throw new Error('the picture to look for is empty');
    await until('the picture', async () => share(picture, this.look()) > 0.99 || (await this.#openAgain()));
    if (GALLERY !== undefined && galleryName !== undefined) {
      mkdirSync(GALLERY, { recursive: true });
      writePng(join(GALLERY, `${galleryName}.png`), trimmed(this.look()));
    }
  }

  /** The Looking Glass client of Debian unstable (B7) crashes in one of fifteen starts, as it makes its first surface. */
  async #openAgain(): Promise<false> {
    const { sidecars } = await this.machine.status();
    const crashed = sidecars.some(({ name, reason }) => name === CRASHING && reason === 'was killed by SIGSEGV');
    if (crashed) await this.machine.ezvm('view', 'vm');
    return false;
  }

  async close(): Promise<void> {
    await this.machine.remove();
    await this.#screen.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import type { ScalarNode } from '../../core/source.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

/** What of the SPICE server the display and the graphics card depend on. */
interface Spice {
  readonly isThere: boolean;
  readonly gl: boolean;
}

const NO_SPICE: Spice = { isThere: false, gl: false };

/**
 * Translates `gpu` (but for the functions of a passed-through card), `display` and `spice`, which depend on one another.
 * @param spice undefined where the file has none
 * @returns whether a window of QEMU's own wants a pointer that follows the host's
 */
export function translateScreen(gpu: Reader, display: Reader, spice: Reader | undefined, out: Translation): boolean {
  const type = display.word('type', ['no_display', 'gtk', 'looking_glass', 'remote-viewer']) ?? 'no_display';
  const windowGl = type === 'gtk' ? (display.switch('gl') ?? scalar(display.at, true)) : undefined;
  const server = spice ? readServer(spice, type === 'gtk', out) : NO_SPICE;
  const kind =
    { no_display: 'none', gtk: 'gtk', looking_glass: 'looking-glass', 'remote-viewer': 'spice' }[type] ?? 'none';
  out.put('display', mapOf(display.at, { type: scalar(display.at, kind), gl: windowGl }));
  if (type === 'looking_glass') lookingGlass(display, out);
  if (type === 'remote-viewer') viewer(display, out);
  if (server.isThere || type === 'gtk') {
    const at = spice?.at ?? display.at;
    out.put('audio', mapOf(at, { type: scalar(at, 'hda') }));
  }
  display.close();
  card(gpu, server.gl || windowGl?.value === true, out);
  return type === 'gtk';
}

function card(gpu: Reader, hasGl: boolean, out: Translation): void {
  const type = gpu.word('type', ['no_gpu', 'passthrough', 'virtio-vga-gl', 'vmware-svga']) ?? 'no_gpu';
  gpu.ignored('memory', 'ezvm leaves it to the card, too');
  // A card of the host's is put in its place with the other devices of the host.
  if (type === 'passthrough') return;
  const address = gpu.text('pci_address');
  if (address)
    out.note(
      'ezkvm-differs',
      address.at,
      'gpu.pci_address is not used: each kind of device has its own place, which never moves',
    );
  const driver = type === 'virtio-vga-gl' && !hasGl ? 'virtio-vga' : type === 'no_gpu' ? 'none' : type;
  out.put('gpu', mapOf(gpu.at, { type: scalar(gpu.at, driver) }));
  if (driver === 'virtio-vga')
    out.note(
      'ezkvm-differs',
      gpu.at,
      'nothing draws with OpenGL, so QEMU would refuse virtio-vga-gl; ezvm takes virtio-vga',
      'for 3D write `gl: on` under spice, or `type: gtk` under display',
    );
  gpu.close();
}

function lookingGlass(display: Reader, out: Translation): void {
  const device = display.map('device');
  const window = display.map('window');
  const input = display.map('input');
  out.put(
    'display',
    mapOf(display.at, {
      device: device.required('path'),
      size: device.required('size'),
      window: window.text('size'),
      'full-screen': window.switch('full_screen'),
      'grab-keyboard': input.switch('grab_keyboard'),
      'escape-key': input.text('escape_key'),
    }),
  );
  for (const part of [device, window, input]) part.close();
}

function viewer(display: Reader, out: Translation): void {
  out.put(
    'display',
    mapOf(display.at, { 'auto-resize': display.switch('auto_resize'), 'full-screen': display.switch('full_screen') }),
  );
  display.ignored('render_node', 'so does ezvm: the server draws, so write it under spice');
}

function readServer(spice: Reader, hasWindow: boolean, out: Translation): Spice {
  const addr = spice.text('addr');
  const port = spice.text('port');
  const path = spice.text('path');
  const rendernode = spice.text('render_node');
  const gl = readGl(spice, out);
  spice.close();
  const at = spice.at;
  if (path && !(addr && port)) {
    out.put('spice', mapOf(at, { type: scalar(at, 'unix'), path, gl, rendernode: gl?.value ? rendernode : undefined }));
    return { isThere: true, gl: gl?.value === true };
  }
  // ezkvm takes its defaults for both where one is missing.
  if ((addr || port) && !(addr && port))
    out.note(
      'ezkvm-ignored',
      (addr ?? port)?.at ?? at,
      `ezkvm ignored spice.${addr ? 'addr' : 'port'} without ${addr ? 'port' : 'addr'} and listened on 127.0.0.1:5900; so does ezvm`,
      'write both',
    );
  const whole = addr && port && isPort(port) ? addr : undefined;
  if (addr && port && !whole)
    out.note(
      'ezkvm-ignored',
      port.at,
      `ezkvm took ${port.value} for no port and listened on 127.0.0.1:5900; so does ezvm`,
      'write a number from 1 to 65535',
    );
  if (whole && path) out.note('ezkvm-ignored', path.at, 'ezkvm ignored spice.path beside addr and port; so does ezvm');
  // A window draws for itself; QEMU has one display.
  const draws = gl?.value === true && !hasWindow;
  out.put(
    'spice',
    mapOf(at, {
      type: scalar(at, 'tcp'),
      addr: whole && port ? localAddress(whole, port, out) : scalar(at, '127.0.0.1'),
      port: whole ? port : scalar(at, 5900),
      gl: draws ? gl : undefined,
      rendernode: draws ? rendernode : undefined,
    }),
  );
  return { isThere: true, gl: draws };
}

function isPort({ value }: ScalarNode): boolean {
  return /^\d{1,5}$/.test(String(value)) && Number(value) > 0 && Number(value) < 65536;
}

/** To ezkvm the word `on` is on, and anything else is off. */
function readGl(spice: Reader, out: Translation): ScalarNode | undefined {
  const gl = spice.switch('gl');
  const isOn = spice.text('gl')?.value === 'on';
  if (gl?.value && !isOn)
    out.note('ezkvm-ignored', gl.at, 'ezkvm takes this for off, and so does ezvm', 'write `gl: on` for OpenGL');
  return gl && scalar(gl.at, isOn);
}

/** Without a password nobody but this machine may connect. */
function localAddress(addr: ScalarNode, port: ScalarNode, out: Translation): ScalarNode {
  const text = String(addr.value);
  if (/^(127\.0\.0\.1|::1|localhost)$/.test(text)) return addr;
  out.note(
    'ezkvm-differs',
    addr.at,
    `SPICE without a password on ${text} would hand the console to the network; ezvm listens on 127.0.0.1 only`,
    `from elsewhere: ssh -L ${port.value}:127.0.0.1:${port.value} THIS-MACHINE`,
  );
  return scalar(addr.at, '127.0.0.1');
}

import { describe, expect, it } from 'vitest';
import { XVFB } from '../accept/screen.ts';
import { CHECKOUT } from '../checkout.ts';
import { lacking } from '../gui/desk.ts';
import { askInside } from './answers.ts';
import { MISSING } from './inside.ts';

const program = lacking('remote-viewer');
const LACKING = MISSING ?? (XVFB === undefined ? 'no Xvfb' : program && `no ${program}`);

const VM = `name: vm
template: none
firmware: bios
machine: { type: pc, accel: tcg }
memory: 32M
gpu: std
serial: log
display: spice
spice: { gl: on }
disks: [{ file: disk.raw, bus: ide }]
`;

/** What a picture in PPM is made of: each colour and how often. */
const COUNT = `
const bytes = require("fs").readFileSync("dump.ppm");
const found = {};
for (let at = 15; at + 3 <= bytes.length; at += 3) {
  const colour = bytes.toString("hex", at, at + 3);
  found[colour] = (found[colour] ?? 0) + 1;
}
console.log("picture: " + JSON.stringify(found));`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
mkdir /run/here
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
mkdir package; cp -r ${CHECKOUT}/dist ${CHECKOUT}/templates package
mount -t tmpfs tmp /tmp
mkdir -m 1777 /tmp/.X11-unix
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
mkdir -m 700 run
ezvm() { node package/dist/start.cjs "$@"; }
echo "nodes: $(ls /dev/dri | tr '\\n' ' ')"
Xvfb :7 -screen 0 1024x768x24 -noreset -ac >/dev/null 2>&1 &
export DISPLAY=:7 GDK_BACKEND=x11 NO_AT_BRIDGE=1
for try in $(seq 600); do [ -e /tmp/.X11-unix/X7 ] && break; sleep 0.1; done
ezvm start vm.yaml --i-know-qemu-runs-as-root; echo "start: $?"
for try in $(seq 600); do grep -qs EZVM-UP state/ezvm/vm/serial0.log && break; sleep 0.1; done
echo "viewer: $(ezvm status --json vm | node -p 'JSON.parse(require("fs").readFileSync(0)).sidecars[0].alive')"
echo "channels: $(ezvm qmp vm query-spice | node -p 'JSON.parse(require("fs").readFileSync(0)).channels.map((one) => one["channel-type"]).sort().join()')"
ezvm qmp vm screendump '{"filename": "/run/here/dump.ppm"}' >/dev/null; echo "dump: $?"
node -e '${COUNT}'
ezvm stop --force vm; echo "stop: $?"
`;

// The viewer's window stays dark here: for it to show what QEMU has drawn takes a GPU.
describe.skipIf(LACKING !== undefined)(`SPICE with OpenGL${LACKING ? ` (left out: ${LACKING})` : ''}`, () => {
  const said = askInside({
    name: 'l1-gl',
    full: true,
    // A graphics card without hardware.
    modules: ['vgem'],
    files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
    guest: 'painter',
  });
  const { line } = said;

  it('is started with a render node, and its viewer is connected', () => {
    expect(line('nodes'), said.console).toContain('renderD128');
    expect(line('start'), said.console).toBe('0');
    expect(line('viewer'), said.console).toBe('true');
    // 1 is the main channel, 2 that of the picture.
    expect(line('channels'), said.console).toMatch(/^1,2\b/);
    expect(said.console).not.toContain('warning: viewer');
  });

  it('draws what the guest paints', () => {
    const quarter = (640 * 480) / 4;
    const colours = { ff0000: quarter, '00ff00': quarter, '0000ff': quarter, ffffff: quarter };
    expect(JSON.parse(line('picture') ?? '{}'), said.console).toEqual(colours);
    expect(line('stop'), said.console).toBe('0');
  });
});

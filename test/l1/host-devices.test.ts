import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside } from './answers.ts';
import { MISSING } from './inside.ts';

/** What no machine that tests run on can be relied on to have: a keyboard that nobody needs, and the kernel's own back-end for cards. */
const VM = `name: vm
template: other
profiles: [headless]
memory: 64M
disks: [{ file: disk.raw, cache: writeback }]
network: [{ type: tap, ifname: tap7, vhost: on, model: virtio }]
input: [{ device: KEYBOARD, grab-all: on, repeat: on, grab-toggle: scrolllock }]
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
mkdir /run/here
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
ezvm="node ${CHECKOUT}/bin/ezvm.js"
for each in /sys/class/input/event*; do grep -qs QEMU $each/device/name && keyboard=/dev/input/\${each##*/}; done
echo "keyboard: $keyboard"
sed -i "s#KEYBOARD#$keyboard#" vm.yaml
ip tuntap add tap7 mode tap
ip link set tap7 up
$ezvm vm.yaml --i-know-qemu-runs-as-root; code=$?; echo "start: $code"; [ $code = 0 ] || exit
pid=$($ezvm status --json vm | node -p 'JSON.parse(require("fs").readFileSync(0)).pid')
has() { ls -l /proc/$pid/fd | grep -c "$1\\$"; }
echo "has: $(has /dev/vhost-net) $(has $keyboard)"
for try in $(seq 600); do grep -qs EZVM-UP state/ezvm/vm/serial0.log && break; sleep 0.1; done
echo "guest: $(grep -o EZVM-UP state/ezvm/vm/serial0.log)"
$ezvm stop vm --force; echo "stop: $?"
`;

describe.skipIf(MISSING !== undefined)(
  `devices that only another machine can spare${MISSING ? ` (left out: ${MISSING})` : ''}`,
  () => {
    const said = askInside({
      name: 'l1-devices',
      modules: ['tun', 'vhost_net', 'virtio_input', 'evdev'],
      files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
      guest: 'plain',
      devices: () => ['-device', 'virtio-keyboard-pci'],
    });
    const { line } = said;

    it('are there', () => {
      expect(line('keyboard'), said.console).toMatch(/^\/dev\/input\/event\d+$/);
      expect(said.console).not.toContain('no module');
    });

    it('are the VM’s: a keyboard that both share, and a card whose packets the kernel moves', () => {
      expect(line('start'), said.console).toBe('0');
      expect(line('has'), said.console).toBe('1 1');
      expect(line('guest'), said.console).toBe('EZVM-UP');
      expect(line('stop'), said.console).toBe('0');
    });
  },
);

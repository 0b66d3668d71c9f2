import { spawnSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside, IOMMU } from './answers.ts';
import { MISSING } from './inside.ts';

const WITHOUT =
  MISSING ??
  ['udevadm', 'lvm', 'dmsetup', 'useradd', 'systemd-tmpfiles'].find(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );

const NO_VERIFY =
  spawnSync('udevadm', ['verify', '--help']).status === 0 ? undefined : 'udevadm verifies rules from 254 on';

/** A device that no driver of the machine knows, and one whose driver is there first. */
const CARD = '0000:01:00.0';
const TAKEN = '0000:02:00.0';
/** One that no VM names, and that VFIO has for somebody else. */
const OTHER = '0000:06:00.0';

const VM = `name: vm
template: other
memory: 2G
disks: [/dev/vg0/win-data, /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_second, /dev/mapper/crypt, /dev/loop0]
usb: [{ vendorid: 0x0627, productid: 0x0001 }]
input: [{ type: evdev, device: /dev/input/by-path/KEYBOARD }]
pci: ["${CARD}", "${TAKEN}"]
display: { type: looking-glass, device: /dev/shm/ezvm-frames, open: false }
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
cp -a /etc /run/etc; mount --bind /run/etc /etc; mount -t tmpfs none /var/lib
keyboard=$(basename "$(readlink -f /sys/bus/virtio/drivers/virtio_input/virtio*/..)")
sed "s/KEYBOARD/pci-$keyboard-event-kbd/" ${dir}/vm.yaml >/run/vm.yaml
export HOME=/root
useradd --create-home --home-dir /run/alice --shell /bin/sh alice
useradd --create-home --home-dir /run/mallory --shell /bin/sh mallory
for each in /usr/lib/systemd/systemd-udevd /lib/systemd/systemd-udevd; do [ -x $each ] && $each --daemon && break; done >/dev/null 2>&1
# As a machine does that starts.
boot() { udevadm trigger --action=add; udevadm settle; }
boot
disk() { echo /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_$1; }
pvcreate -qq -y $(disk third); vgcreate -qq vg0 $(disk third); lvcreate -qq -n win-data -L 16M vg0; lvcreate -qq -n host-data -L 16M vg0
echo 0 2048 linear $(disk fourth) 0 | dmsetup create crypt
udevadm settle
echo vfio-pci >/sys/bus/pci/devices/${OTHER}/driver_override; echo ${OTHER} >/sys/bus/pci/drivers_probe; udevadm settle
group() { basename "$(readlink /sys/bus/pci/devices/$1/iommu_group)"; }
echo "groups: $(group ${CARD}) $(group ${OTHER})"
driver() { basename "$(readlink /sys/bus/pci/devices/$1/driver)"; }
nodes() { for each in /dev/vg0/* /dev/mapper/crypt $(disk second) $(disk fourth) /dev/loop0 /dev/loop1 /dev/input/event* /dev/vfio/[0-9]*; do [ ! -e $each ] || echo "$1: $each $(stat -L -c '%U:%G %a' $each)"; done; }
files() { find /etc /var/lib -type f ! -name '*-' ! -name .pwd.lock -exec stat -c '%n %a %U:%G' {} + -exec sha256sum {} + | sort; }
echo "keyboard: $(basename "$(readlink -f /dev/input/by-path/pci-$keyboard-event-kbd)")"
nodes before; echo "driver before: $(driver ${CARD}) $(driver ${TAKEN})"
files >/run/before
ezvm="node ${CHECKOUT}/bin/ezvm.js"
$ezvm setup group --apply --user alice --network networkd /run/vm.yaml >/run/out 2>&1; echo "setup: $? $(tr '\\n' ' ' </run/out)"
udevadm settle
nodes rules
boot
nodes boot; echo "driver boot: $(driver ${CARD}) $(driver ${TAKEN})"
echo "verify: $(udevadm verify /etc/udev/rules.d/*ezvm* 2>&1 | tr '\\n' ' ')"
echo "usual: $(ulimit -l) $(ulimit -Hl) mallory "
for who in alice mallory; do echo "$who: $(su - $who -c 'ulimit -l; ulimit -Hl; id -nG' | tr '\\n' ' ')"; done
echo "runuser: $(runuser -l alice -c 'ulimit -l')"
for who in alice mallory; do echo "opens $who: $(su - $who -c 'for each in /dev/vg0/win-data /dev/vfio/[0-9]* /dev/vg0/host-data; do (exec <>$each) 2>/dev/null && echo $each; done' | tr '\\n' ' ')"; done
echo "shared: $(stat -c '%U:%G %a' /dev/shm/ezvm-frames)"
$ezvm setup undo >/run/out 2>&1; echo "undo: $? $(tr '\\n' ' ' </run/out)"
udevadm settle
files >/run/after
echo "left: $(diff /run/before /run/after | tr '\\n' ' ')"
nodes after
`;

describe.skipIf(WITHOUT !== undefined)(
  `what setup group installs, on a machine with udev and PAM${WITHOUT ? ` (left out: ${WITHOUT})` : ''}`,
  () => {
    const said = askInside({
      name: 'l1-setup',
      modules: ['nvme', 'vfio_pci', 'vfio_iommu_type1', 'dm_mod', 'loop', 'virtio_input', 'evdev'],
      files: (dir) => ({
        'vm.yaml': VM,
        'machine.sh': inside(dir),
        // With a first process whose root is its own: udev does nothing in what looks like a change of root.
        'inside.sh': `exec unshare --pid --fork --mount-proc sh ${dir}/machine.sh\n`,
      }),
      devices: (dir) => {
        const disks = ['first', 'second', 'third', 'fourth'].flatMap((name, index) => {
          writeFileSync(join(dir, name), '');
          truncateSync(join(dir, name), 64 << 20);
          return [
            ...['-device', `pcie-root-port,id=${name},bus=pcie.0,chassis=${index + 2}`],
            ...['-blockdev', `driver=file,node-name=${name}-file,filename=${join(dir, name)}`],
            ...['-device', `nvme,bus=${name},serial=${name},drive=${name}-file`],
          ];
        });
        return [
          ...IOMMU.devices,
          ...['-device', 'pcie-root-port,id=card,bus=pcie.0,chassis=1', '-device', 'e1000e,bus=card'],
          ...disks,
          ...['-device', 'pcie-root-port,id=other,bus=pcie.0,chassis=6', '-device', 'e1000e,bus=other'],
          ...['-device', 'virtio-keyboard-pci'],
        ];
      },
      kernel: IOMMU.kernel,
    });
    const { line } = said;
    /** Who may what on each device, by its name. */
    const nodes = (when: string): Record<string, string> =>
      Object.fromEntries(
        [...said.console.matchAll(new RegExp(`^${when}: /dev/(\\S+) (\\S+ \\d+)$`, 'gm'))].map(([, name, mode]) => [
          name,
          mode,
        ]),
      );

    it('gives the group the devices that the VMs name and no other, at once and whenever the machine starts', () => {
      expect(line('setup'), said.console).toMatch(/^0 /);
      expect(line('setup')).not.toContain('warning');
      expect(line('setup')).toMatch(/note: vfio-pci gets 0000:02:00.0 \(nvme\) at the next boot, unless the initramfs/);
      expect(line('setup')).toContain('options vfio-pci ids=1b36:0010');
      const usual = nodes('before');
      expect(usual, said.console).toMatchObject({ 'vg0/win-data': 'root:disk 660', 'input/event1': 'root:input 660' });
      const given = { ...usual, [`input/${line('keyboard')}`]: 'root:ezvm 660' };
      for (const each of ['vg0/win-data', 'mapper/crypt', 'disk/by-id/nvme-QEMU_NVMe_Ctrl_second', 'loop0'])
        given[each] = 'root:ezvm 660';
      expect(nodes('rules'), said.console).toEqual(given);
      const [mine, other] = line('groups')?.split(' ') ?? [];
      expect(usual[`vfio/${other}`], said.console).toBe('root:root 600');
      expect(nodes('boot'), said.console).toEqual({ ...given, [`vfio/${mine}`]: 'root:ezvm 660' });
    });

    it('binds a device that has no driver yet when the machine starts, and takes none from another driver', () => {
      expect([line('driver before'), line('driver boot')], said.console).toEqual([' nvme', 'vfio-pci nvme']);
    });

    it.skipIf(NO_VERIFY !== undefined)(`is found right by udev${NO_VERIFY ? ` (left out: ${NO_VERIFY})` : ''}`, () => {
      expect(line('verify'), said.console).toMatch(/Success: 2\s+Fail:\s+0/);
    });

    it('lets members lock what the guest needs, and others no more than before, as PAM has it', () => {
      expect(line('alice'), said.console).toBe('3145728 3145728 alice ezvm ');
      expect(line('mallory'), said.console).toBe(line('usual'));
      expect(line('runuser'), said.console).toBe('3145728');
    });

    it('lets members open these devices, and nobody else', () => {
      const [mine] = line('groups')?.split(' ') ?? [];
      expect(line('opens alice'), said.console).toBe(`/dev/vg0/win-data /dev/vfio/${mine} `);
      expect(line('opens mallory'), said.console).toBe('');
    });

    it('makes the file in memory that a viewer reads', () => {
      expect(line('shared'), said.console).toBe('alice:kvm 660');
    });

    it('is taken back, and the devices are whose they were but for those that VFIO has until the next boot', () => {
      expect(line('undo'), said.console).toMatch(/^0 .*everything is as it was/);
      expect(line('undo')).toContain('until the next boot');
      expect(line('left'), said.console).toBe('');
      const [mine] = line('groups')?.split(' ') ?? [];
      expect(nodes('after'), said.console).toEqual({ ...nodes('before'), [`vfio/${mine}`]: 'root:root 600' });
    });
  },
);

import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside, IOMMU } from './answers.ts';
import { MISSING } from './inside.ts';

/** A disk that the inner machine's own driver uses, and a card with sound, which share a group of the IOMMU. */
const DEVICES = [
  ...IOMMU.devices,
  ...['-blockdev', 'null-co,node-name=nothing,size=1048576', '-blockdev', 'null-co,node-name=less,size=1048576'],
  ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'nvme,serial=1,drive=nothing,bus=rp1'],
  ...['-device', 'pcie-root-port,id=rp2,chassis=2'],
  ...[
    '-device',
    'secondary-vga,bus=rp2,addr=0.0,multifunction=on',
    '-device',
    'nvme,serial=2,drive=less,bus=rp2,addr=0.1',
  ],
];

const VM = `name: vm
template: other
profiles: [headless]
memory: 64M
gpu: { type: passthrough, pci: [CARD, SOUND] }
pci: [DISK]
disks: [{ file: disk.raw, cache: writeback }]
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
mkdir -p /run/package /run/here
cp -r ${CHECKOUT}/dist /run/package/dist
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
ezvm="node /run/package/dist/start.cjs"
of() { for each in /sys/bus/pci/devices/*; do case $(cat $each/class) in $1) echo \${each##*/};; esac; done | head -n 1; }
card=$(of '0x038000')
sound=\${card%.0}.1
disk=$(of '0x010802')
sed -i "s/CARD/$card/; s/SOUND/$sound/; s/DISK/$disk/" vm.yaml
take() {
  echo vfio-pci > /sys/bus/pci/devices/$1/driver_override
  [ ! -e /sys/bus/pci/devices/$1/driver ] || echo $1 > /sys/bus/pci/devices/$1/driver/unbind
  echo $1 > /sys/bus/pci/drivers_probe
}
faults() { $ezvm check --json "$@" vm.yaml 2>err | node -p 'JSON.parse(require("fs").readFileSync(0)).filter(({ severity }) => severity === "error").map(({ code, message }) => code + " " + message).join(" / ")'; }
ulimit -l unlimited
echo "before: $(faults)"
take $disk
take $card
echo "alone: $(faults --set "gpu.pci=$card")"
take $sound
echo "ready: $(faults)"
echo "limit: $(ulimit -l 1024; faults)"
echo "user: $(setpriv --reuid=61234 --regid=61234 --clear-groups env XDG_STATE_HOME=/tmp $ezvm check vm.yaml 2>&1 | grep -o 'you may not read and write /dev/vfio/[0-9]*' | head -n 1)"
$ezvm vm.yaml --i-know-qemu-runs-as-root; code=$?; echo "start: $code"; [ $code = 0 ] || exit
echo "devices: $($ezvm qmp vm query-pci | grep -o '"qdev_id": "[gp][^"]*"' | tr -d '\\n')"
$ezvm stop vm --force; echo "stop: $?"
`;

describe.skipIf(MISSING !== undefined)(`where there is an IOMMU${MISSING ? ` (left out: ${MISSING})` : ''}`, () => {
  const said = askInside({
    name: 'l1-iommu',
    modules: ['nvme', 'vfio_pci', 'vfio_iommu_type1'],
    files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
    guest: 'plain',
    devices: () => DEVICES,
    kernel: IOMMU.kernel,
  });
  const { line } = said;

  it('every device that its own driver has is told, each at once', () => {
    const before = line('before')?.split(' / ');
    expect(before, said.console).toEqual([
      expect.stringMatching(/^pci-driver .*\(1234:1111\) has no driver/),
      expect.stringMatching(/^pci-driver .*host's driver nvme/),
      expect.stringMatching(/^pci-driver .*host's driver nvme/),
    ]);
  });

  it('a device that shares its group with one in use is told', () => {
    expect(line('alone'), said.console).toMatch(/^iommu-group-shared .* in use by nvme$/);
  });

  it('nothing is told when all is ready, and what a smaller limit or another user lacks', () => {
    expect(line('ready'), said.console).toBe('');
    expect(line('limit'), said.console).toMatch(/^locked-memory-short .* 1088M .* you may lock 1M$/);
    expect(line('user'), said.console).toMatch(/^you may not read and write \/dev\/vfio\/\d+$/);
  });

  it('the VM really gets them', () => {
    expect(line('start'), said.console).toBe('0');
    for (const id of ['gpu.0', 'gpu.1', 'pci0.0']) expect(line('devices'), said.console).toContain(`"${id}"`);
    expect(line('stop'), said.console).toBe('0');
  });
});

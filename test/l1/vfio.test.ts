import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside, IOMMU, NVME } from './answers.ts';
import { MISSING } from './inside.ts';

const VM = `name: vm
template: other
profiles: [headless]
memory: 64M
disks: [{ file: disk.raw, cache: writeback }]
pci: ["1b36:0010"]
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
mkdir -p /run/package /run/here /run/root
cp -r ${CHECKOUT}/dist /run/package/dist
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
mkdir -m 700 run; chown -R nobody:nogroup /run/here
ezvm="node /run/package/dist/start.cjs"
member() { setpriv --reuid=nobody --regid=nogroup --groups="$1" --inh-caps=-all $ezvm start vm.yaml 2>&1; echo "exit $?"; }
user() { setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all $ezvm "$@"; }
card=/sys/bus/pci/devices/${NVME.address}
driver() { basename "$(readlink $card/driver)"; }

echo "before: $(driver)"
$ezvm setup group vm.yaml --user nobody --group users --network networkd --root /run/root --apply >/dev/null 2>&1; echo "setup: $?"
# What udev makes of these rules when the machine starts.
address=$(sed -n 's/.*KERNEL=="\\([^"]*\\)".*ATTR{driver_override}="vfio-pci".*/\\1/p' /run/root/etc/udev/rules.d/60-ezvm-vfio-bind.rules)
echo "rule: $address"
echo vfio-pci >$card/driver_override
echo $address >$card/driver/unbind
echo $address >/sys/bus/pci/drivers_probe
echo "bound: $(driver)"
node=/dev/vfio/$(basename "$(readlink $card/iommu_group)")
chmod 666 /dev/kvm /dev/vfio/vfio
eval "$(sed -n 's/^SUBSYSTEM=="vfio", .*GROUP="\\([^"]*\\)", MODE="\\([^"]*\\)"$/group=\\1 mode=\\2/p' /run/root/etc/udev/rules.d/70-ezvm.rules)"
chgrp $group $node; chmod $mode $node
kilobytes=$(sed -n 's/^@users hard memlock //p' /run/root/etc/security/limits.d/60-ezvm.conf)

echo "stranger: $(member nogroup | tr '\\n' ' ')"
ulimit -l 64
echo "short: $(member users | tr '\\n' ' ')"
ulimit -l $kilobytes
started=$(member users)
echo "member: $(echo "$started" | tr '\\n' ' ')"
for try in $(seq 600); do grep -qs EZVM-UP state/ezvm/vm/serial0.log && break; sleep 0.1; done
echo "guest: $(grep -o EZVM-UP state/ezvm/vm/serial0.log)"
pid=$(user status --json vm | node -p 'JSON.parse(require("fs").readFileSync(0)).pid')
echo "has: $(user monitor vm info pci | grep -o '1b36:0010')"
echo "busy: $($ezvm facts 2>/dev/null | grep -o 'another VM has IOMMU group')"
echo "who: $(sed -n 's/^\\(Uid\\|CapEff\\|CapPrm\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*/\\1 /p' /proc/$pid/status | tr '\\t\\n' '  ')"
user stop --force vm; echo "stop: $?"

$ezvm setup undo --root /run/root 2>/dev/null; echo "undo: $? $(find /run/root -type f | wc -l)"
echo >$card/driver_override
echo ${NVME.address} >$card/driver/unbind
echo ${NVME.address} >/sys/bus/pci/drivers_probe
echo "after: $(driver)"
`;

describe.skipIf(MISSING !== undefined)(
  `a PCI device for a member of the group${MISSING ? ` (left out: ${MISSING})` : ''}`,
  () => {
    const said = askInside({
      name: 'l1-vfio',
      modules: ['kvm_amd', 'nvme', 'vfio_pci', 'vfio_iommu_type1'],
      files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
      guest: 'plain',
      devices: () => [...IOMMU.devices, ...NVME.devices],
      kernel: IOMMU.kernel,
    });
    const { line } = said;

    it('is bound by the rule that the setup makes', () => {
      expect(line('before'), said.console).toBe('nvme');
      expect([line('setup'), line('rule'), line('bound')], said.console).toEqual(['0', NVME.address, 'vfio-pci']);
    });

    it('is refused to those who are no member, and where too little memory may be locked', () => {
      expect(line('stranger'), said.console).toMatch(/exit 3/);
      expect(line('stranger'), said.console).toMatch(/you may not read and write \/dev\/vfio\/\d+/);
      expect(line('short'), said.console).toMatch(/exit 3/);
      expect(line('short'), said.console).toMatch(/you may lock 64K/);
    });

    it('is in the guest of an ordinary user, whose QEMU has no capability', () => {
      expect(line('member'), said.console).toMatch(/exit 0/);
      expect(line('guest'), said.console).toBe('EZVM-UP');
      expect(line('has'), said.console).toBe('1b36:0010');
      expect(line('busy'), said.console).toBe('another VM has IOMMU group');
      expect(line('who'), said.console).toBe(
        'Uid 65534 65534 65534 65534 CapPrm 0000000000000000 CapEff 0000000000000000 NoNewPrivs 1 Seccomp 2 ',
      );
      expect(line('stop'), said.console).toBe('0');
    });

    it('is the host’s again when the setup is undone', () => {
      expect([line('undo'), line('after')], said.console).toEqual(['0 0', 'nvme']);
    });
  },
);

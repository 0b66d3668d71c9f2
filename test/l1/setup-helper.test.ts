import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { askInside, IOMMU, NVME } from './answers.ts';
import { MISSING } from './inside.ts';

const VM = `name: vm
template: other
profiles: [headless]
memory: 64M
disks: [{ file: /run/alice/disk.raw, cache: writeback }]
network: [{ type: bridge, bridge: br0 }]
pci: ["${NVME.address}"]
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
chmod 755 /run
cp -a /etc /run/etc; mount --bind /run/etc /etc; mount -t tmpfs none /var/lib
mkdir -p /run/upper /run/work /run/package/src
mount -t overlay none -o lowerdir=/usr/libexec,upperdir=/run/upper,workdir=/run/work /usr/libexec
cp -r ${CHECKOUT}/dist ${CHECKOUT}/templates /run/package/; cp -r ${CHECKOUT}/src/priv /run/package/src/
useradd --create-home --home-dir /run/alice --shell /bin/sh alice
export HOME=/run/root
cp ${dir}/vm.yaml ${dir}/disk.raw /run/alice/; mkdir -m 700 /run/alice/run; chown -R alice:alice /run/alice
chmod 666 /dev/vfio/vfio
ip link add br0 type bridge; ip link set br0 up
ulimit -l 64
ezvm="node /run/package/dist/start.cjs"
root() { $ezvm "$@" 2>&1; echo "exit $?"; }
alice() { setpriv --reuid=alice --regid=alice --init-groups --inh-caps=-all env HOME=/run/alice XDG_RUNTIME_DIR=/run/alice/run $ezvm "$@" 2>&1; echo "exit $?"; }
# As who called sudo has it, whose runtime folder is where logind makes it.
sudo() { SUDO_UID=$(id -u alice) root "$@"; }
told() { tr '\\n' ' '; }
driver() { basename "$(readlink /sys/bus/pci/devices/${NVME.address}/driver)"; }
taps() { ip -oneline link show master br0 | wc -l; }
files() { find /etc /usr/libexec /var/lib ! -name '*-' ! -name .pwd.lock -exec stat -c '%n %a %U:%G' {} + | sort; find /etc -type f ! -name '*-' -exec sha256sum {} + | sort; }
mkdir -p -m 755 /run/user; install -d -o alice -g alice -m 700 /run/user/$(id -u alice)
files >/run/before

echo "before: $(driver)"
echo "setup: $(root setup helper --apply --user alice /run/alice/vm.yaml | told)"
echo "policy: $(grep ^allow /etc/ezvm/policy | tr -s ' ' | tr '\\n' ';')"
echo "member: $(alice start /run/alice/vm.yaml | told)"
echo "during: $(driver) $(taps)"
echo "stop: $(alice stop --force vm | told)"
echo "after: $(driver) $(taps)"

echo "sudo: $(sudo start /run/alice/vm.yaml | told)"
pid=$(cat /run/user/$(id -u alice)/ezvm/vm/qemu.pid)
echo "uid: $(id -u alice)"
echo "who: $(sed -n 's/^\\(Uid\\|CapEff\\|CapPrm\\|CapBnd\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*/\\1 /p' /proc/$pid/status | tr '\\t\\n' '  ')"
echo "sudo during: $(driver) $(taps)"
echo "undo early: $(root setup undo | told)"
echo "still: $(stat -c '%a %U:%G' /usr/libexec/ezvm-priv)"
kill -9 $pid
for try in $(seq 300); do [ $(driver) = nvme ] && break; sleep 0.1; done
echo "killed: $(driver) $(taps)"
sudo stop vm >/dev/null
echo "undo: $(root setup undo | told)"
files >/run/after
echo "left: $(diff /run/before /run/after | told)"
`;

describe.skipIf(MISSING !== undefined)(
  `a PCI device and a bridge by what setup helper installs${MISSING ? ` (left out: ${MISSING})` : ''}`,
  () => {
    const said = askInside({
      name: 'l1-setup-helper',
      modules: ['nvme', 'vfio_pci', 'vfio_iommu_type1', 'tun', 'bridge', 'overlay'],
      files: (dir) => ({ 'vm.yaml': VM, 'inside.sh': inside(dir) }),
      guest: 'plain',
      devices: () => [...IOMMU.devices, ...NVME.devices],
      kernel: IOMMU.kernel,
    });
    const { line } = said;

    it('allows what the VM wants, by the ids of this machine', () => {
      expect(line('setup'), said.console).toMatch(/exit 0 $/);
      expect(line('setup')).not.toContain('warning');
      expect(line('policy'), said.console).toBe(
        [
          'allow user:alice bridge br0',
          'allow user:alice memlock 1088M',
          `allow user:alice pci ${NVME.address} 1b36:0010 bind`,
          'allow user:alice program /usr/bin/qemu-system-x86_64;',
        ].join(';'),
      );
    });

    it('lets the user have both, who gives them back', () => {
      expect(line('before'), said.console).toBe('nvme');
      expect(line('member'), said.console).toMatch(/exit 0 $/);
      expect(line('during'), said.console).toBe('vfio-pci 1');
      expect(line('stop'), said.console).toMatch(/exit 0 $/);
      expect(line('after'), said.console).toBe('nvme 0');
    });

    it('lets sudo have both for that user, whose QEMU has no rights', () => {
      expect(line('sudo'), said.console).toMatch(/exit 0 $/);
      expect(line('sudo during'), said.console).toBe('vfio-pci 1');
      const none = '0000000000000000';
      const uids = Array(4).fill(line('uid')).join(' ');
      expect(line('who'), said.console).toBe(
        `Uid ${uids} CapPrm ${none} CapEff ${none} CapBnd ${none} NoNewPrivs 1 Seccomp 2 `,
      );
    });

    it('is not taken back while a VM has a device', () => {
      expect(line('undo early'), said.console).toMatch(/devices cannot be given back.*exit 4 $/);
      expect(line('still'), said.console).toBe('4750 root:ezvm');
    });

    it('gives both back when the QEMU of sudo is killed', () => {
      expect(line('killed'), said.console).toBe('nvme 0');
    });

    it('is taken back to the byte', () => {
      expect(line('undo'), said.console).toMatch(/everything is as it was exit 0 $/);
      expect(line('left'), said.console).toBe('');
    });
  },
);

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { SOURCES, sources } from '../priv/lab.ts';
import { type Rights, rightsByTable, rightsOf } from '../privilege/table.ts';
import { askInside, IOMMU, NVME } from './answers.ts';
import { MISSING } from './inside.ts';

const VM = `name: vm
template: other
profiles: [headless]
memory: 64M
disks: [{ file: disk.raw, cache: writeback }]
network: [{ type: bridge, bridge: br0, vhost: on }]
pci: ["${NVME.address}"]
`;

const POLICY = `allow user:nobody program /usr/bin/qemu-system-x86_64
allow user:nobody bridge br0 vhost
allow user:nobody memlock 2G
`;

/** Every answer stands on the console behind a word that the tests look for. */
const inside = (dir: string): string => `
chmod 755 /run
mkdir -p /run/package /run/here/.config/ezvm /run/ezvm-policy
cp -r ${CHECKOUT}/dist /run/package/dist
install -o root -g users -m 4750 ${dir}/ezvm-priv /run/package/ezvm-priv
cd /run/here
cp ${dir}/vm.yaml ${dir}/disk.raw .
echo 'programs: { ezvm-priv: /run/package/ezvm-priv }' >.config/ezvm/ezvm.yaml
export HOME=/run/here XDG_RUNTIME_DIR=/run/here/run XDG_STATE_HOME=/run/here/state XDG_CACHE_HOME=/run/here/cache
mkdir -m 700 run; chown -R nobody:nogroup /run/here
as() { groups="$1"; shift; setpriv --reuid=nobody --regid=nogroup --groups="$groups" --inh-caps=-all "$@"; }
ezvm() { groups="$1"; shift; as "$groups" node /run/package/dist/start.cjs "$@" 2>&1; echo "exit $?"; }
told() { tr '\\n' ' '; }
card=/sys/bus/pci/devices/${NVME.address}
driver() { basename "$(readlink $card/driver)"; }
node=/dev/vfio/$(basename "$(readlink $card/iommu_group)")
up() { for try in $(seq 600); do grep -qs EZVM-UP state/ezvm/vm/serial0.log && break; sleep 0.1; done; grep -o EZVM-UP state/ezvm/vm/serial0.log | tail -n 1; }
chmod 666 /dev/vfio/vfio
ip link add br0 type bridge; ip link set br0 up
ulimit -l 64

echo "before: $(driver)"
cp ${dir}/policy /run/ezvm-policy/policy
echo "stranger: $(ezvm nogroup start vm.yaml | told)"
echo "unbound: $(ezvm users start vm.yaml | told)"
echo 'allow user:nobody pci ${NVME.address} ${NVME.ids} bind' >>/run/ezvm-policy/policy
echo "check: $(ezvm users check vm.yaml | told)"
echo "member: $(ezvm users start vm.yaml | told)"
echo "during: $(driver)"
echo "guest: $(up)"
echo "has: $(ezvm users monitor vm info pci | grep -o '${NVME.ids}')"
pid=$(cat run/ezvm/vm/qemu.pid)
waits=$(ezvm users status --json vm | sed '$d' | node -p 'JSON.parse(require("fs").readFileSync(0)).sidecars.find(({ name }) => name === "give-back").pid')
for each in self $pid $waits; do echo "rights of $each: $(tr '\\n' '|' </proc/$each/status)"; done
echo "pids: $pid $waits"
echo "limit: $(sed -n 's/^Max locked memory *//p' /proc/$pid/limits)"
echo "vhost: $(ls -l /proc/$pid/fd | grep -c /dev/vhost-net)"
echo "tap: $(ip -oneline link show master br0 | grep -c 'ezvm0.*LOWER_UP')"
echo "node: $(stat -c '%U %G' $node)"
echo "other: $(setpriv --reuid=daemon --regid=daemon --groups=users sh -c "exec <>$node" 2>&1)"
echo "stop: $(ezvm users stop --force vm | told)"
echo "after: $(driver) $(cat $card/driver_override) $(ip -oneline link show master br0 | wc -l)"

echo "itself: $(ezvm users start vm.yaml | told)"
up >/dev/null
kill $(cat run/ezvm/vm/qemu.pid)
for try in $(seq 300); do [ "$(driver)" = nvme ] && break; sleep 0.1; done
echo "ended: $(driver)"

echo "again: $(ezvm users start vm.yaml | told)"
kill -9 $(ezvm users status --json vm | sed '$d' | node -p 'JSON.parse(require("fs").readFileSync(0)).sidecars[0].pid')
kill -9 $(cat run/ezvm/vm/qemu.pid)
echo "killed: $(driver)"
echo "status: $(ezvm users status vm | told)"
echo "back: $(driver)"
`;

describe.skipIf(MISSING !== undefined)(
  `a PCI device and a bridge by the helper${MISSING ? ` (left out: ${MISSING})` : ''}`,
  () => {
    const said = askInside({
      name: 'l1-helper',
      modules: ['nvme', 'vfio_pci', 'vfio_iommu_type1', 'tun', 'bridge', 'vhost_net'],
      files: (dir) => ({ 'vm.yaml': VM, policy: POLICY, 'inside.sh': inside(dir) }),
      guest: 'plain',
      devices: (dir) => {
        const policy = '-DEZVM_PRIV_POLICY="/run/ezvm-policy/policy"';
        execFileSync('cc', [`@${join(SOURCES, 'flags')}`, policy, '-o', join(dir, 'ezvm-priv'), ...sources()]);
        return [...IOMMU.devices, ...NVME.devices];
      },
      kernel: IOMMU.kernel,
    });
    const { line } = said;

    it('are refused to those who are not in its group, with what would help', () => {
      expect(line('before'), said.console).toBe('nvme');
      expect(line('stranger'), said.console).toMatch(/exit 3 $/);
      expect(line('stranger'), said.console).toMatch(/vm\.yaml:7:7 .*in use by the host's driver nvme/);
      expect(line('stranger'), said.console).toContain('ezvm-priv is for members of the group users only');
    });

    it('are refused where the policy does not allow them, with the line that would', () => {
      expect(line('unbound'), said.console).toMatch(/exit 3 $/);
      expect(line('unbound'), said.console).toContain(
        `with the line \`allow user:nobody pci ${NVME.address} ${NVME.ids} bind\``,
      );
      expect(line('check'), said.console).toMatch(/no faults exit 0 $/);
    });

    it('are in the guest of an ordinary user, whose QEMU has no capability and may lock the guest’s memory', () => {
      expect(line('member'), said.console).toMatch(/exit 0 $/);
      expect(line('during'), said.console).toBe('vfio-pci');
      expect(line('guest'), said.console).toBe('EZVM-UP');
      expect(line('has'), said.console).toBe(NVME.ids);
      const user = { uid: 65534, gid: 65534, groups: [100] };
      const rights = (pid: string): Rights => rightsOf(line(`rights of ${pid}`)?.replaceAll('|', '\n') ?? '');
      for (const [index, name] of ['qemu', 'give-back'].entries())
        expect(rights(line('pids')?.split(' ')[index] ?? ''), said.console).toEqual(
          rightsByTable('user, by the helper', name, user, rights('self')),
        );
      expect(line('limit'), said.console).toMatch(/^1140850688 +1140850688 /);
      expect([line('tap'), line('vhost')], said.console).toEqual(['1', '1']);
    });

    it('are nobody else’s meanwhile', () => {
      expect(line('node'), said.console).toBe('root root');
      expect(line('other'), said.console).toMatch(/Permission denied/);
    });

    it('are the host’s again after the VM', () => {
      expect(line('stop'), said.console).toMatch(/exit 0 $/);
      expect(line('after'), said.console).toBe('nvme (null) 0');
    });

    it('are the host’s again when QEMU ends by itself, with no ezvm there', () => {
      expect(line('itself'), said.console).toMatch(/exit 0 $/);
      expect(line('ended'), said.console).toBe('nvme');
    });

    it('are the host’s again when all was killed and somebody looks', () => {
      expect(line('again'), said.console).toMatch(/exit 0 $/);
      expect(line('killed'), said.console).toBe('vfio-pci');
      expect(line('status'), said.console).toContain('crashed');
      expect(line('back'), said.console).toBe('nvme');
    });
  },
);

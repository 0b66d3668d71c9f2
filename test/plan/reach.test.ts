import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { findReach } from '../../src/plan/reach.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf, specOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());

/** What a VM reaches, as `kind what`. */
function reached(vm: string): string[] {
  const plan = planOf(vm, CATALOG, hostFacts('laptop'));
  return findReach(plan, specOf(vm, CATALOG).spec).map(({ kind, what }) => `${kind} ${what}`);
}

const LONELY = 'template: other\nnetwork: null\naudio: none\ndisplay: none\nspice: none\n';

describe('what reaches outside of a VM', () => {
  it('is nothing where nothing does', () => {
    expect(reached(LONELY)).toEqual([]);
  });

  it.each([
    ['disks: [/dev/vg/a]\n', 'device /dev/vg/a'],
    ['disks: [disk.qcow2]\n', 'path /vm/disk.qcow2'],
    ['disks: [disk.vmdk]\n', 'path any files that the VMDK /vm/disk.vmdk calls its parts'],
    [
      'disks: [{ file: top.qcow2, backing: base.vmdk }]\n',
      'path any files that the VMDK /vm/base.vmdk calls its parts',
    ],
    ['disks: [{ type: cdrom, file: /etc/shadow }]\n', 'path /etc/shadow'],
    ['shares: [/home/me]\n', 'path /home/me'],
    ['pci: ["0000:01:00.0"]\n', 'device PCI 0000:01:00.0'],
    ['usb: [{ vendorid: 0x046d, productid: 0xc52b }]\n', 'device USB vendorid=1133 productid=50475'],
    ['input: [/dev/input/event3]\n', 'device /dev/input/event3'],
    ['tpm: { type: swtpm, state: /etc/tpm }\n', 'path /etc/tpm'],
    ['boot: { kernel: /boot/vmlinuz }\n', 'path /boot/vmlinuz'],
    ['fw-cfg: [{ type: file, name: opt/x, file: /etc/passwd }]\n', 'path /etc/passwd'],
    ['spice: { port: 5901, type: tcp }\n', 'port tcp 5901 on 127.0.0.1'],
    ['spice: { path: /tmp/x.sock }\n', 'path /tmp/x.sock'],
    ['network: [user]\n', 'network net0 (user) reaches the network and the services of this machine, as you do'],
    ['network: [{ type: user, forward: ["8022:22"] }]\n', 'port tcp 8022 on 127.0.0.1'],
    ['network: [{ type: bridge, bridge: br5 }]\n', 'network net0 (bridge) is on the network of bridge br5'],
    ['network: [{ type: macvtap, ifname: m5 }]\n', 'network net0 (macvtap) is on the network of macvtap m5'],
    ['network: [{ type: sriov, parent: eno5, vf: 1 }]\n', 'network net0 (sriov) is on the network of interface eno5'],
    ['network: [{ type: stream, host: 192.0.2.7 }]\n', 'network net0 (stream) reaches 192.0.2.7, port 5558'],
    [
      'network: [{ type: stream, server: true, host: 192.0.2.7 }]\n',
      'network net0 (stream) waits for another at 192.0.2.7, port 5558',
    ],
    [
      'network: [{ type: dgram, remote-host: 192.0.2.7 }]\n',
      'network net0 (dgram) is at 127.0.0.1, port 5558, and reaches 192.0.2.7, port 5559',
    ],
    ['network: [{ type: socket }]\n', 'network net0 (socket) is on the cable 230.0.0.1:5558 of this machine'],
    ['disks: [{ type: nbd-tcp, host: nas }]\n', 'network disk disk0 is on the server nas, port 10809'],
    ['display: { type: dbus, address: "tcp:host=nas" }\n', 'screen a bus at tcp:host=nas'],
    ['network: [{ type: tap, ifname: t5 }]\n', 'network net0 (tap) is on the network of tap t5'],
    ['network: [{ type: tap-script, script: /a, downscript: /b }]\n', 'script /a'],
    ['display: gtk\n', 'screen a window (gtk)'],
    ['display: spice\n', expect.stringMatching(/^program viewer: /)],
    ['qemu: { args: ["-drive", "if=sd,file=/etc/passwd"] }\n', 'argument if=sd,file=/etc/passwd'],
    ['qemu: { args: ["-drive", "if=sd,file=/etc/passwd"] }\n', 'path /etc/passwd'],
    ['qemu: { set: { machine: { dumpdtb: /tmp/x } } }\n', 'argument machine {"dumpdtb":"/tmp/x"}'],
  ])('is told of %j', (vm, reach) => {
    const others = LONELY.split('\n').filter((line) => !line.startsWith(`${vm.split(':')[0]}:`));
    expect(reached(`${others.join('\n')}${vm}`)).toContainEqual(reach);
  });

  it('names the place in the file, and what is worst first', () => {
    const vm = `${LONELY}disks: [a.raw]\nqemu: { args: ["-S"] }\n`;
    const found = findReach(planOf(vm, CATALOG, hostFacts('laptop')), specOf(vm, CATALOG).spec);
    expect(found.map(({ kind, origin }) => `${kind} ${origin?.file}:${origin?.line}`)).toEqual([
      'argument vm.yaml:7',
      'path vm.yaml:6',
    ]);
  });

  it('is what a VM of its name has left', () => {
    const { spec } = specOf(LONELY, CATALOG);
    const plan = planOf(LONELY, CATALOG, hostFacts('laptop'));
    expect(findReach(plan, spec, [])).toEqual([]);
    expect(findReach(plan, spec, ['efivars.fd', 'tpm'])).toMatchObject([
      { kind: 'state', what: `what a VM called vm has left in ${plan.vm.stateDir}: efivars.fd, tpm` },
    ]);
  });

  it('is no network that is cut off', () => {
    expect(reached(LONELY.replace('network: null', 'network: [{ type: user, restrict: true }]'))).toEqual([]);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../src/launch/certificates.ts';
import { freePorts } from '../ports.ts';
import type { Machine } from './machine.ts';
import { NO_GUEST, scripted } from './scripted.ts';

const MIB = 2 ** 20;
/** Controllers look for disks for a while after their drivers are there. */
const WAIT = 'for try in $(seq 50); do [ "$(ls /sys/block | wc -l)" -lt COUNT ] || break; usleep 200000; done\n';

let machine: Machine | undefined;
const servers: ChildProcess[] = [];
afterEach(async () => {
  await machine?.remove();
  for (const server of servers.splice(0)) server.kill();
  machine = undefined;
});

/** A server of one disk; it writes its number into a file once it listens. */
async function serve(vm: Machine, name: string, ...words: readonly string[]): Promise<void> {
  const ready = join(vm.dir, `${name}.pid`);
  const served = image(vm, `${name}.served`, name);
  servers.push(spawn('qemu-nbd', ['-t', '-f', 'raw', '--pid-file', ready, ...words, served], { stdio: 'inherit' }));
  while (!existsSync(ready)) await sleep(20);
}

/** The file of a disk: `text`, and nothing after it. */
function image(vm: Machine, name: string, text: string, size = MIB): string {
  const path = join(vm.dir, name);
  writeFileSync(path, text);
  truncateSync(path, size);
  return path;
}

function hash(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function ask(vm: Machine, command: string, args: unknown = {}): Promise<unknown> {
  const { exit, out, err } = await vm.ezvm('qmp', 'vm', command, JSON.stringify(args));
  expect(err).toBe('');
  expect(exit).toBe(0);
  return JSON.parse(out);
}

describe.skipIf(NO_GUEST !== undefined)(`disks in a Linux guest${NO_GUEST ? ` (left out: ${NO_GUEST})` : ''}`, () => {
  it('are on the controllers, and of the names, that their file says', async () => {
    const [port] = await freePorts(1);
    machine = scripted(
      `${WAIT.replace('COUNT', '12')}
for disk in /sys/block/*; do
  [ -e $disk/device ] || continue
  name=\${disk##*/}
  serial=$(cat $disk/serial $disk/device/serial 2>/dev/null || tail -c +5 $disk/device/vpd_pg80 2>/dev/null || cat $disk/device/../../../../serial)
  path=$(readlink -f $disk/device)
  while [ ! -e $path/vendor ] || [ ! -e $path/driver ] || [ ! -e $path/class ]; do path=$(dirname $path); [ $path != / ] || break; done
  echo "disk $(echo $serial): size $(cat $disk/size) ro $(cat $disk/ro) rotational $(cat $disk/queue/rotational) wwid$(sed -n 's/^naa/ naa/p' $disk/device/wwid 2>/dev/null) driver $(basename $(readlink $path/driver)) says $(dd if=/dev/$name bs=16 count=1 2>/dev/null | tr -d '\\000')."
done
mkdir /mnt
mount -t vfat -o ro /dev/$(basename $(dirname $(grep -l FOLDER /sys/block/*/serial)))1 /mnt && echo "folder: $(cat /mnt/HELLO.TXT)"
usleep 100000
`,
      `
disks:
  disk0: { file: new.qcow2, size: 64M, serial: NEW, iothread: on, bps-total: 50M, iops-write: 500 }
  disk1: { file: over.qcow2, backing: base.raw, bus: scsi-single, serial: OVER, wwn: 0x5000c50015ea71aa, rotation-rate: 7200, iothread: shared }
  disk2: { file: nvme.raw, bus: nvme, serial: NVME }
  disk3: { file: sata.raw, bus: sata, serial: SATA, ssd: off, wwn: naa.5000c50015ea71ab }
  disk4: { file: pvscsi.raw, bus: pvscsi, serial: PVSCSI }
  disk5: { file: lsi.raw, bus: lsi, serial: LSI }
  disk6: { file: mega.raw, bus: megasas, serial: MEGA }
  disk7: { file: usb.raw, bus: usb, serial: USB }
  disk8: { type: nbd, path: nbd.sock, export: data, read-only: on, serial: NBD, iothread: shared }
  disk9: { file: locked.raw, bus: scsi, read-only: on, serial: LOCKED }
  folder: { type: vvfat, dir: folder, slot: 10, serial: FOLDER }
  encrypted: { type: nbd-tcp, slot: 11, host: 127.0.0.1, port: ${port}, tls: tls, tls-hostname: disks.example, serial: TLS }
`,
    );
    const base = image(machine, 'base.raw', 'base', 4 * MIB);
    const names = ['nvme', 'sata', 'pvscsi', 'lsi', 'mega', 'usb', 'locked'];
    for (const name of names) image(machine, `${name}.raw`, name);
    mkdirSync(join(machine.dir, 'folder'));
    writeFileSync(join(machine.dir, 'folder', 'hello.txt'), 'hello from the host');
    await serve(machine, 'socket', '-r', '-k', join(machine.dir, 'nbd.sock'), '-x', 'data');
    const certificates = join(machine.dir, 'tls');
    makeCertificates(certificates, ['disks.example']);
    const shown = `tls-creds-x509,id=tls,endpoint=server,verify-peer=off,dir=${certificates}`;
    await serve(machine, 'encrypted', '-b', '127.0.0.1', '-p', String(port), '--object', shown, '--tls-creds=tls');
    const before = hash(base);

    await machine.start();
    const threads = (await ask(machine, 'query-iothreads')) as { id: string }[];
    expect(threads.map(({ id }) => id).toSorted()).toEqual(['disk0-iothread', 'iothread-shared']);
    expect(await ask(machine, 'qom-get', { path: '/objects/disk0-limits', property: 'limits' })).toMatchObject({
      'bps-total': 50 * MIB,
      'iops-write': 500,
    });
    const console = await machine.waitFor('--- end of script ---');
    const found = Object.fromEntries(
      [...console.matchAll(/^disk (\w+): (.*)$/gm)].map(([, serial = '', text = '']) => [serial, text]),
    );
    const sectors = MIB / 512;
    expect(found).toEqual({
      NEW: `size ${64 * sectors} ro 0 rotational 1 wwid driver virtio-pci says .`,
      OVER: `size ${4 * sectors} ro 0 rotational 1 wwid naa.5000c50015ea71aa driver virtio-pci says base.`,
      NVME: `size ${sectors} ro 0 rotational 0 wwid driver nvme says nvme.`,
      SATA: `size ${sectors} ro 0 rotational 1 wwid naa.5000c50015ea71ab driver ahci says sata.`,
      PVSCSI: `size ${sectors} ro 0 rotational 0 wwid driver vmw_pvscsi says pvscsi.`,
      LSI: `size ${sectors} ro 0 rotational 0 wwid driver sym53c8xx says lsi.`,
      MEGA: `size ${sectors} ro 0 rotational 0 wwid driver megaraid_sas says mega.`,
      USB: `size ${sectors} ro 0 rotational 1 wwid driver xhci_hcd says usb.`,
      NBD: `size ${sectors} ro 1 rotational 1 wwid driver virtio-pci says socket.`,
      TLS: `size ${sectors} ro 0 rotational 1 wwid driver virtio-pci says encrypted.`,
      LOCKED: `size ${sectors} ro 1 rotational 0 wwid driver virtio-pci says locked.`,
      FOLDER: expect.stringMatching(/ ro 1 /),
    });
    expect(console).toContain('folder: hello from the host');
    expect(hash(base)).toBe(before);
  });

  it('laid over another keep what is written, and leave the other as it is', async () => {
    const script = `${WAIT.replace('COUNT', '1')}
echo "before: $(dd if=/dev/vda bs=16 count=1 2>/dev/null | tr -d '\\000')"
echo "the guest's" | dd of=/dev/vda bs=512 conv=notrunc,sync 2>/dev/null
sync
`;
    machine = scripted(script, 'disks: [{ file: over.qcow2, backing: base.raw }]\n');
    const base = image(machine, 'base.raw', 'base');
    const before = hash(base);
    const seen: string[] = [];
    for (let round = 0; round < 2; round++) {
      await machine.start();
      seen.push(/^before: (.*)$/m.exec(await machine.waitFor('--- end of script ---'))?.[1] ?? '');
      while ((await machine.status()).condition === 'running') await sleep(100);
    }
    expect(seen).toEqual(['base', "the guest's"]);
    expect(hash(base)).toBe(before);
  });

  it('of a CD-ROM drive come and go while the guest runs, on SCSI and on USB', async () => {
    machine = scripted(
      `${WAIT.replace('COUNT', '2')}
echo "drives: $(ls /sys/block | tr '\\n' ' ')"
while true; do
  for drive in sr0 sr1; do
    now=$(dd if=/dev/$drive bs=2048 count=1 2>/dev/null | tr -d '\\000')
    eval "last=\\$last_$drive"
    [ "$now" = "$last" ] || echo "$drive: \${now:-empty}"
    eval "last_$drive=\\$now"
  done
  usleep 100000
done
`,
      'disks: [{ type: cdrom, bus: scsi }, { type: cdrom, bus: usb }]\n',
    );
    await machine.start();
    await machine.waitFor('drives: sr0 sr1 ');
    const seen: string[] = [];
    for (const [id, bus] of Object.entries({ 'disk0-device': 'scsi', 'disk1-device': 'usb' })) {
      for (const disc of [`${bus}-1`, `${bus}-2`]) {
        await ask(machine, 'blockdev-change-medium', { id, filename: image(machine, disc, disc), force: true });
        seen.push(
          /^(sr\d): (.*)$/.exec((await machine.waitFor(`: ${disc}\n`)).trim().split('\n').at(-1) ?? '')?.[1] ?? '',
        );
      }
      await ask(machine, 'eject', { id, force: true });
      await machine.waitFor(`${seen.at(-1)}: empty\n`);
    }
    // Each bus has a drive of its own.
    expect([seen[0], seen[2]].toSorted()).toEqual(['sr0', 'sr1']);
    expect([seen[1], seen[3]]).toEqual([seen[0], seen[2]]);
  });
});

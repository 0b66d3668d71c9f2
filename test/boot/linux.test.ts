import { execFile } from 'node:child_process';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../checkout.ts';
import { Machine } from './machine.ts';

const GUEST = join(CHECKOUT, 'etc', 'demo', 'guest');
const made = existsSync(join(GUEST, 'stamp.json'));
const WITHOUT_GUEST = made ? '' : ' (left out: no guest here; node etc/demo/guest.mjs makes it)';
const BOOT = `boot: { kernel: ${GUEST}/vmlinuz, initrd: ${GUEST}/initramfs, append: console=ttyS0 quiet panic=-1 }`;

let machine: Machine | undefined;
afterEach(async () => {
  await machine?.remove();
  machine = undefined;
});

/** What the guest says about each kind of thing, a list because it may find several. */
async function reportOf(vm: Machine): Promise<Record<string, string[]>> {
  const console = await vm.waitFor('waiting for the power button');
  const report: Record<string, string[]> = {};
  for (const [, key = '', value = ''] of console.matchAll(/^(\w+): (.*)$/gm))
    report[key] = [...(report[key] ?? []), value];
  return report;
}

describe.skipIf(!made)(`a Linux guest${WITHOUT_GUEST}`, () => {
  it('finds what its file says, and nothing else', async () => {
    machine = new Machine(`
template: linux
profiles: [headless]
uuid: 6f1c9b44-3b5a-4d3c-9a55-0123456789ab
smbios: { product: Wonder, manufacturer: "Ez, \\"VM\\" & Söhne" }
cpu: { cores: 3 }
memory: 768M
tpm: swtpm
${BOOT}
disks:
  - { file: first.raw, serial: ONE }
  - { file: second.raw, bus: nvme, serial: TWO }
  - { file: third.raw, read-only: true, serial: THREE }
network:
  - { type: user, mac: "52:54:00:12:34:56" }
  - { type: user, mac: "52:54:00:65:43:21" }
`);
    for (const [index, name] of ['first.raw', 'second.raw', 'third.raw'].entries()) {
      writeFileSync(join(machine.dir, name), '');
      truncateSync(join(machine.dir, name), (index + 1) * 32 * 2 ** 20);
    }
    await machine.start();
    const report = await reportOf(machine);
    expect(report['firmware']).toEqual([expect.stringContaining('UEFI')]);
    expect(report['machine']).toEqual(['Ez, "VM" & Söhne Wonder, uuid 6f1c9b44-3b5a-4d3c-9a55-0123456789ab']);
    expect(report['cpus']).toEqual([expect.stringMatching(/^3, /)]);
    expect(report['memory']).toEqual([expect.stringMatching(/^768 MiB, /)]);
    expect(report['disk']?.toSorted()).toEqual([
      'nvme0n1, 64 MiB, serial TWO, driver nvme',
      'vda, 32 MiB, serial ONE, driver virtio_blk',
      'vdb, 96 MiB, serial THREE, read only, driver virtio_blk',
    ]);
    expect(report['network']?.map((line) => line.slice(0, line.indexOf(', address'))).toSorted()).toEqual([
      'eth0, 52:54:00:12:34:56, driver virtio_net',
      'eth1, 52:54:00:65:43:21, driver virtio_net',
    ]);
    for (const card of report['network'] ?? []) expect(card).toMatch(/address 10\.0\.2\.15\/24 by DHCP/);
    expect(report['tpm']).toEqual([expect.stringMatching(/^version 2, PCR 0 (?!0+$)[0-9A-F]{64}$/)]);

    const { sidecars } = await machine.status();
    expect(sidecars).toEqual([expect.objectContaining({ name: 'swtpm', alive: true })]);
    expect((await machine.ezvm('stop', 'vm')).exit).toBe(0);
    expect(machine.console()).toContain('power button pressed: shutting down');
    expect((await machine.status()).condition).toBe('stopped');
  });

  it('finds BIOS, no TPM, no disk and no network when its file says so', async () => {
    machine = new Machine(`template: linux\nprofiles: [headless]\nfirmware: bios\ncpu: 1\nmemory: 384M\n${BOOT}\n`);
    await machine.start();
    const report = await reportOf(machine);
    expect(report['firmware']).toEqual([expect.stringContaining('BIOS')]);
    expect(report['cpus']).toEqual([expect.stringMatching(/^1, /)]);
    expect(report['memory']).toEqual([expect.stringMatching(/^384 MiB, /)]);
    expect(report['tpm']).toEqual(['none']);
    expect(report['disk']).toBeUndefined();
    expect(report['network']).toBeUndefined();
    expect((await machine.ezvm('stop', 'vm')).exit).toBe(0);
  });

  it('starts on the board microvm, with the devices of any other, and is stopped by its power button', async () => {
    // Without KVM, Linux often fails to find out how fast the clock of this board runs, and hangs: told, it need not.
    machine = new Machine(`
template: linux
profiles: [microvm]
memory: 384M
${BOOT.replace('quiet', 'quiet tsc_early_khz=1000000')}
disks: [{ file: root.raw, serial: ONE }, { file: old.raw, bus: nvme, serial: TWO }]
network: { type: user, mac: "52:54:00:12:34:56" }
consoles: log
`);
    for (const name of ['root.raw', 'old.raw']) writeFileSync(join(machine.dir, name), Buffer.alloc(2 ** 20));
    await machine.start();
    const report = await reportOf(machine);
    expect(report['cpus']).toEqual([expect.stringMatching(/^2, /)]);
    expect(report['disk']?.toSorted()).toEqual([
      'nvme0n1, 1 MiB, serial TWO, driver nvme',
      'vda, 1 MiB, serial ONE, driver virtio_blk',
    ]);
    expect(report['network']).toEqual([expect.stringMatching(/^eth0, 52:54:00:12:34:56, .*by DHCP/)]);
    expect((await machine.ezvm('stop', 'vm')).exit).toBe(0);
    expect(machine.console()).toContain('power button pressed: shutting down');
  });

  it('keeps its identifiers when a disk and a card are added', async () => {
    const yaml = `template: linux\nprofiles: [headless]\nfirmware: bios\nmemory: 384M\nnetwork: user\n${BOOT}\n`;
    const seen: Record<string, string[]>[] = [];
    for (const more of ['disks: [a.raw]\n', 'disks: [a.raw, b.raw]\n']) {
      machine = new Machine(`uuid: 6f1c9b44-3b5a-4d3c-9a55-0123456789ab\n${yaml}${more}`);
      for (const name of ['a.raw', 'b.raw']) writeFileSync(join(machine.dir, name), Buffer.alloc(2 ** 20));
      await machine.start();
      seen.push(await reportOf(machine));
      await machine.remove();
    }
    const [before, after] = seen;
    expect(before?.['disk']).toHaveLength(1);
    expect(after?.['disk']).toHaveLength(2);
    expect(after?.['disk']?.[0]).toBe(before?.['disk']?.[0]);
    expect(after?.['network']).toEqual(before?.['network']);
    expect(after?.['machine']).toEqual(before?.['machine']);
  });
});

describe.skipIf(!made)(`npm run demo${WITHOUT_GUEST}`, () => {
  it('exits 0 after it has seen all that it promises', async () => {
    machine = new Machine('template: linux\n');
    const { env } = machine;
    const { code, out } = await new Promise<{ code: unknown; out: string }>((resolve) => {
      execFile(process.execPath, ['etc/demo/run.mjs'], { cwd: CHECKOUT, env }, (error, stdout) =>
        resolve({ code: error ? error.code : 0, out: stdout }),
      );
    });
    expect(out).toContain('All of it was seen.');
    expect(out).not.toContain('Not seen:');
    for (const shown of ['cpus: 2', 'tpm: version 2', '$ ezvm status demo', '$ ezvm stop demo', 'have ended'])
      expect(out).toContain(shown);
    expect(code).toBe(0);
  });
});

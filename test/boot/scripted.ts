import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../checkout.ts';
import { Machine } from './machine.ts';

const GUEST = join(CHECKOUT, 'etc', 'demo', 'guest', 'script');
const MODULES = [
  ...['virtio_pci', 'virtio_net', 'e1000', 'e1000e', '8139cp', 'vmxnet3', 'igb', 'af_packet', 'virtio_rng'],
  ...['qemu_fw_cfg', 'virtiofs', '9p', '9pnet_virtio', 'tpm_tis', 'tpm_crb'],
  ...[
    'virtio_blk',
    'virtio_scsi',
    'vmw_pvscsi',
    'sym53c8xx',
    'megaraid_sas',
    'ahci',
    'nvme',
    'xhci_pci',
    'usb_storage',
  ],
  ...['sd_mod', 'sr_mod', 'floppy', 'vfat', 'nls_cp437', 'nls_ascii'],
];

/** Makes the guest that does what a script says, of a kernel with all kinds of cards and controllers; undefined, or why it cannot be had. */
function makeGuest(): string | undefined {
  const init = join(import.meta.dirname, 'script-init.sh');
  const words = ['etc/demo/guest.mjs', '--full', '--out', GUEST, '--init', init, ...MODULES];
  try {
    execFileSync(process.execPath, words, { cwd: CHECKOUT, stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
    return undefined;
  } catch (error) {
    return (error as { stderr: string }).stderr.trim().split('\n').at(-1);
  }
}

/** Why there is no such guest; undefined where there is. */
export const NO_GUEST = makeGuest();

/** A VM whose guest does what a script for busybox says, and stays for as long as that takes. */
export function scripted(script: string, yaml: string, within?: readonly string[]): Machine {
  const machine = new Machine(
    `
template: linux
profiles: [headless]
${/^firmware:/m.test(yaml) ? '' : 'firmware: bios'}
cpu: 1
memory: 256M
boot: { kernel: ${GUEST}/vmlinuz, initrd: ${GUEST}/initramfs, append: console=ttyS0 quiet panic=-1 }
fw-cfg: [{ type: file, name: opt/ezvm.test/script, file: script.sh }]
${yaml}`,
    within,
  );
  machine.write('script.sh', script);
  return machine;
}

/** Sends a line to an echo server on this machine; gives what came back before the connection ended or a minute was over. */
export async function echo(port: number, line: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(`${line}\n`));
      socket.setEncoding('utf8').setTimeout(2000, () => socket.destroy());
      socket.on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('\n')) socket.destroy();
      });
      socket.on('error', () => {}).on('close', () => resolve(text.trim()));
    });
    // QEMU listens long before the guest does.
    if (answer !== '' || tries > 30) return answer;
    await sleep(500);
  }
}

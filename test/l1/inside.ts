import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../checkout.ts';

const VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd', '/usr/lib/virtiofsd'].find(existsSync);

/** What keeps a machine inside this one from being made; undefined where nothing does. */
export const MISSING =
  process.getuid?.() !== 0
    ? 'not root: virtiofsd may not serve the root file system'
    : !VIRTIOFSD
      ? 'no virtiofsd'
      : !existsSync(join(CHECKOUT, 'etc', 'demo', 'guest', 'stamp.json'))
        ? 'no guest here; node etc/demo/guest.mjs makes it'
        : undefined;

/** A machine whose root is this one's, read only but for /run, on a CPU of QEMU's making that has AMD's SVM. */
export interface Inside {
  /** Names the kernel and initramfs made for it. */
  readonly name: string;
  readonly modules: readonly string[];
  /** Holds `inside.sh`, which is run there, and gets the console's log. */
  readonly dir: string;
  /** Of a kernel that knows more than a cloud's hardware. */
  readonly full?: boolean;
  /** Words for QEMU beside those of the machine itself: first those that come before any device. */
  readonly devices?: readonly string[];
  /** Further words on the kernel's command line. */
  readonly kernel?: string;
}

/** Boots it and gives what its console said. */
export async function runInside({
  name,
  modules,
  dir,
  full = false,
  devices = [],
  kernel = '',
}: Inside): Promise<string> {
  const guest = join(CHECKOUT, 'etc', 'demo', 'guest', name);
  const init = join(import.meta.dirname, 'init.sh');
  execFileSync(
    process.execPath,
    [
      'etc/demo/guest.mjs',
      ...(full ? ['--full'] : []),
      '--out',
      guest,
      '--init',
      init,
      'virtio_pci',
      'virtiofs',
      ...modules,
    ],
    { cwd: CHECKOUT, stdio: 'ignore' },
  );
  const socket = join(dir, 'root.sock');
  const log = join(dir, 'console.log');
  const server = spawn(VIRTIOFSD ?? '', [`--socket-path=${socket}`, '-o', 'source=/,cache=always,sandbox=chroot'], {
    stdio: 'ignore',
  });
  try {
    while (!existsSync(socket) && server.exitCode === null) await sleep(20);
    const memory = 'memory-backend-memfd,id=memory,size=2G,share=on';
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ...['-accel', 'tcg,thread=multi', '-machine', 'q35,memory-backend=memory', '-cpu', 'max', '-smp', '2'],
        ...['-m', '2G', '-object', memory, '-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${log}`],
        ...devices,
        ...['-chardev', `socket,id=root,path=${socket}`, '-device', 'vhost-user-fs-pci,chardev=root,tag=host'],
        ...['-kernel', join(guest, 'vmlinuz'), '-initrd', join(guest, 'initramfs')],
        ...['-append', `console=ttyS0 quiet panic=-1 ${kernel} run=${dir}/inside.sh`],
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const timer = setTimeout(() => qemu.kill(), 400_000);
    await new Promise((resolve) => qemu.once('close', resolve));
    clearTimeout(timer);
    return readFileSync(log, 'utf8').replaceAll('\r', '');
  } finally {
    server.kill();
  }
}

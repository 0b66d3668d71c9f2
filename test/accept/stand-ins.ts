import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { HostFacts } from '../../src/host/facts.ts';
import { makeCertificates } from '../../src/launch/certificates.ts';
import { targetOf } from '../../src/plan/combine.ts';
import type { Plan } from '../../src/plan/plan.ts';
import type { QemuOption, QemuProps } from '../../src/qemu/option.ts';
import { RUNNING } from './desktop.ts';
import { lackOfTarget } from './iscsi.ts';
import { XVFB } from './screen.ts';

const MIB = 1024 * 1024;

/** What a plan needs that this machine has not got; undefined where QEMU can be started with it. */
export function absence(plan: Plan, facts: HostFacts): string | undefined {
  const unmet = plan.requirements.find(({ kind }) => kind === 'unmet');
  if (unmet?.kind === 'unmet') return unmet.message;
  for (const option of plan.qemu.options) {
    const lacking = lack(option, facts);
    if (lacking !== undefined) return lacking;
  }
  return undefined;
}

/** What one option needs that this machine has not got. */
export function lack({ name, args }: QemuOption, facts: HostFacts): string | undefined {
  if (typeof args !== 'object') return undefined;
  switch (`${name} ${args['type'] ?? args['driver'] ?? args['accel'] ?? args['qom-type'] ?? ''}`) {
    case 'blockdev iscsi':
      return lackOfTarget(String(args['portal']), facts);
    case 'blockdev nbd': {
      const { host = '127.0.0.1' } = args['server'] as QemuProps;
      return host === '127.0.0.1' ? undefined : `no server at ${host}`;
    }
    case 'blockdev raw':
      return lackOfDevice(args['file'] as QemuProps | undefined);
    case 'accel hvf':
      return 'HVF is for Macs';
    case 'device vfio-pci':
    case 'device vfio-pci-nohotplug':
      return 'no PCI device to hand over';
    case 'device u2f-passthru':
      return 'no security key';
    case 'device ccid-card-emulated':
      return 'no database of certificates';
    case 'netdev vhost-user':
      return 'no switch that works in the memory';
    case 'netdev bridge':
      return existsSync('/etc/qemu/bridge.conf') ? undefined : 'no bridge that the helper may use';
    case 'netdev tap':
      if (!usable('/dev/net/tun') || process.geteuid?.() !== 0) return 'no tap interface may be made';
      return args['vhost'] === true && !usable('/dev/vhost-net') ? 'no /dev/vhost-net' : undefined;
    case 'audiodev oss':
      return existsSync('/dev/dsp') ? undefined : 'no sound card';
    case 'audiodev pipewire':
      if (!RUNNING.has('pipewire')) return 'no PipeWire';
      return hasPipeWire(facts) ? undefined : 'no PipeWire beside this QEMU; node test/qemus.mjs --refresh gets it';
    case 'audiodev pa':
      return RUNNING.has('pipewire-pulse') ? undefined : 'no sound server for pa';
    case 'audiodev jack':
      return RUNNING.has('jackd') ? undefined : 'no JACK';
    case 'display gtk':
    case 'display sdl':
      if (facts.qemu && !facts.qemu.displays.includes(String(args['type'])))
        return `this QEMU has no display ${args['type']}`;
      return XVFB === undefined ? 'no Xvfb to show windows on' : undefined;
    case 'display spice-app':
      if (XVFB === undefined) return 'no Xvfb for its viewer';
      return args['gl'] === true && !hasRenderNode() ? 'no render node' : undefined;
    case 'display curses':
      return 'no terminal to draw on';
    case 'display egl-headless':
      return hasRenderNode() ? undefined : 'no render node';
    case 'display dbus':
      if (!RUNNING.has('dbus-daemon')) return 'no session bus';
      return args['gl'] === true && !hasRenderNode() ? 'no render node' : undefined;
    case 'object input-linux':
      return 'no keyboard to share';
    case 'object memory-backend-memfd':
      return hasHugePages(args) ? undefined : 'no huge pages set aside';
    case 'tpmdev passthrough':
      return 'no TPM to hand over';
    case 'device virtio-vga-gl':
      return facts.qemu?.devices.includes('virtio-vga-gl') ? undefined : 'this QEMU has no virtio-vga-gl';
    default:
      if (args['driver'] === 'usb-host' && args['hostdevice'] !== undefined) return 'no USB device to hand over';
      if (name === 'device' && facts.qemu && !facts.qemu.devices.includes(String(args['driver'])))
        return `this QEMU has no ${args['driver']}`;
      return name === 'spice' && args['gl'] === true && !hasRenderNode() ? 'no render node' : undefined;
  }
}

/** What takes the place of something, and the settings that put it there. */
export interface StandIn {
  readonly what: string;
  readonly sets: readonly string[];
}

/** What takes the place of the things a plan has and this machine has not. */
export function standInsFor(plan: Plan, place: string, facts: HostFacts): StandIn[] {
  const nodes = plan.qemu.options.flatMap(({ args }) =>
    typeof args === 'object' ? (/^(node\d+)-memory$/.exec(String(args['id']))?.[1] ?? []) : [],
  );
  const found: StandIn[] = [
    nodes.length === 0
      ? { what: '128 MiB of memory', sets: ['memory=128M'] }
      : {
          what: '64 MiB of memory in each node, and none of it locked',
          sets: [
            `memory.size=${64 * nodes.length}M`,
            'memory.locked=off',
            ...nodes.map((node) => `numa.${node}.memory=64M`),
          ],
        },
  ];
  const missing = new Set<string>();
  const tooOld = plan.requirements.flatMap((one) =>
    one.kind === 'unmet' && one.code === 'qemu-too-old' ? (one.targets ?? []) : [],
  );
  if (plan.requirements.some((one) => one.kind === 'unmet' && one.code === 'gl-missing'))
    found.push({ what: 'virtio-vga without GL', sets: ['gpu.type=virtio-vga'] });
  for (const { name, argv } of plan.sidecars) {
    const at = argv.indexOf('--interface');
    const [, id] = /^passt-(.+)$/.exec(name) ?? [];
    if (id !== undefined && at > 0 && !existsSync(`/sys/class/net/${argv[at + 1]}`))
      found.push({
        what: `the interface of the default route for ${argv[at + 1]}`,
        sets: [`network.${id}.interface=null`],
      });
  }
  for (const { name, args } of plan.qemu.options)
    if (name === 'vnc' && typeof args === 'object' && /^\d+\.\d+\.\d+\.\d+:/.test(String(args['vnc'])))
      if (!/^(127|0)\./.test(String(args['vnc'])))
        found.push({ what: 'every address for one that is not here', sets: ['vnc.addr=0.0.0.0'] });
  for (const option of plan.qemu.options) {
    const { name, args } = option;
    if (typeof args !== 'object') continue;
    const id = String(args['id'] ?? '');
    const lacking = lack(option, facts);
    if (args['mem-path'] === '/dev/kvmfr0')
      found.push({ what: 'a file for /dev/kvmfr0', sets: [`display.device=${join(place, 'kvmfr0')}`] });
    if (name === 'machine' && !facts.qemu?.machines[String(args['type'])])
      found.push({ what: "this QEMU's board", sets: ['machine.version=null'] });
    if (lacking === undefined || missing.has(lacking + id) || tooOld.includes(targetOf(option))) continue;
    missing.add(lacking + id);
    if (name === 'netdev') found.push({ what: `user network for ${args['type']}`, sets: [`network.${id}.type=user`] });
    else if (args['type'] === 'egl-headless' && plan.qemu.options.some((other) => other.name === 'spice'))
      found.push({ what: 'SPICE without GL', sets: ['spice.gl=off', 'spice.rendernode=null'] });
    else if (name === 'display') found.push({ what: `no display for ${args['type']}`, sets: ['display.type=none'] });
    else if (name === 'audiodev') found.push({ what: 'no sound', sets: ['audio.backend=none'] });
    else if (name === 'spice')
      found.push({ what: 'SPICE without GL', sets: ['spice.gl=off', 'spice.rendernode=null'] });
    else if (args['driver'] === 'virtio-vga-gl')
      found.push({ what: 'virtio-vga without GL', sets: ['gpu.type=virtio-vga'] });
    else if (args['qom-type'] === 'memory-backend-memfd')
      found.push({
        what: 'small pages',
        sets: [`${nodes.length > 0 ? `numa.${id.replace('-memory', '')}` : 'memory'}.huge-pages=off`],
      });
    else if (args['qom-type'] === 'input-linux') found.push({ what: 'no keyboards', sets: ['input=null'] });
    else if (name === 'tpmdev') found.push({ what: 'swtpm', sets: ['tpm.type=swtpm'] });
    else if (id === 'sound') found.push({ what: 'an HDA sound card', sets: ['audio.type=hda'] });
    else if (id.startsWith('net') && args['driver'] === 'vfio-pci')
      found.push({ what: 'user network for vfio-pci', sets: [`network.${id.replace('-device', '')}.type=user`] });
    else if (id.startsWith('net'))
      found.push({
        what: `a virtio card for ${args['driver']}`,
        sets: [`network.${id.replace('-device', '')}.model=virtio`],
      });
    else if (name === 'blockdev') {
      const disk = String(args['node-name']);
      const file = join(place, 'images', `${disk}.raw`);
      found.push({ what: `a file for ${disk}`, sets: [`disks.${disk}.type=disk`, `disks.${disk}.file=${file}`] });
    } else if (id.startsWith('gpu')) found.push({ what: 'an emulated graphics card', sets: ['gpu.type=std'] });
    else if (id.startsWith('usb')) {
      const device = id.replace(/-.*/, '');
      found.push({ what: `nothing for ${device}`, sets: [`usb.${device}=null`] });
    } else if (id.startsWith('pci')) found.push({ what: 'no PCI devices', sets: ['pci=null'] });
    else throw new Error(`nothing stands in for -${name} ${id}: ${lacking}`);
  }
  return found;
}

function lackOfDevice(node: QemuProps | undefined): string | undefined {
  const { driver, filename } = node ?? {};
  return driver === 'host_device' && !existsSync(String(filename)) ? `no ${filename}` : undefined;
}

function hasHugePages({ hugetlbsize, size }: QemuProps): boolean {
  if (typeof hugetlbsize !== 'number') return true;
  const free = `/sys/kernel/mm/hugepages/hugepages-${hugetlbsize / 1024}kB/free_hugepages`;
  return existsSync(free) && Number(readFileSync(free, 'utf8')) * hugetlbsize >= Number(size);
}

/** A QEMU of another release needs that release's PipeWire. */
function hasPipeWire({ qemu }: HostFacts): boolean {
  const root = join(dirname(qemu?.binary ?? ''), 'root');
  return !existsSync(root) || existsSync(join(root, 'usr/lib/x86_64-linux-gnu/pipewire-0.3'));
}

function hasRenderNode(): boolean {
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}

function usable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Makes what a plan names below `dir` and is not there: images, kernels, and files in the place of devices. */
export function furnish(plan: Plan, dir: string): void {
  for (const { name, args } of plan.qemu.options) {
    if (typeof args !== 'object') continue;
    for (const script of [args['script'], args['downscript']])
      if (typeof script === 'string' && script.startsWith(dir))
        make(script, () => writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 }));
    for (const end of [args['addr'], args['local']] as (QemuProps | undefined)[]) {
      const socket = end?.['path'];
      if (typeof socket === 'string' && socket.startsWith(dir)) mkdirSync(dirname(socket), { recursive: true });
    }
    const { 'qom-type': type, file } = args;
    if (type === 'secret' && String(file).startsWith(dir))
      make(String(file), () => writeFileSync(String(file), 'secret'));
    if (name !== 'blockdev') continue;
    const path = (args['file'] as QemuProps | undefined)?.['filename'];
    if (typeof path === 'string' && path.startsWith(dir)) make(path, () => makeImage(path, String(args['driver'])));
    const backing = args['backing'] as { driver: string; file: { filename: string } } | undefined;
    const base = backing?.file.filename ?? '';
    if (backing && base.startsWith(dir)) make(base, () => makeImage(base, backing.driver));
  }
  for (const requirement of plan.requirements) {
    if (requirement.kind === 'kvmfr' && requirement.path.startsWith(dir))
      make(requirement.path, () => sparse(requirement.path, requirement.bytes));
    if (requirement.kind !== 'path' || !requirement.path.startsWith(dir)) continue;
    const { path, type } = requirement;
    if (type === 'device') make(path, () => sparse(path, mappedSize(plan, path) ?? 128 * MIB));
    else if (type === 'image') make(path, () => sparse(path, 4 * MIB));
    else if (type === 'tpm-state') make(path, () => writeFileSync(path, ''));
    else if (type === 'directory') mkdirSync(path, { recursive: true });
    if (
      plan.qemu.options.some(
        ({ args: given }) => typeof given === 'object' && [given['x509-dir'], given['dir']].includes(path),
      )
    )
      makeCertificates(path, ['localhost', '127.0.0.1']);
    else if (type === 'file' || type === 'secret') make(path, () => writeFileSync(path, kernel()));
  }
}

/** The bytes that QEMU wants of a device it maps. */
function mappedSize({ qemu }: Plan, path: string): number | undefined {
  for (const { args } of qemu.options)
    if (typeof args === 'object' && args['mem-path'] === path && typeof args['size'] === 'number') return args['size'];
  return undefined;
}

function make(path: string, act: () => void): void {
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  act();
}

function makeImage(path: string, format: string): void {
  if (format === 'raw') sparse(path, 4 * MIB);
  else execFileSync('qemu-img', ['create', '-q', '-f', format, '--', path, '4M'], { stdio: 'inherit' });
}

function sparse(path: string, size: number): void {
  writeFileSync(path, '');
  truncateSync(path, size);
}

/** What QEMU takes for a Linux kernel, and for a picture: the boot protocol's header, the first bytes of a JPEG, no more. */
function kernel(): Buffer {
  const image = Buffer.alloc(16 * 1024);
  image.writeUInt16BE(0xffd8, 0);
  image[0x1f1] = 1;
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(0x020c, 0x206);
  image[0x211] = 1;
  image.writeUInt32LE(0x37ffffff, 0x22c);
  return image;
}

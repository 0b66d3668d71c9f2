#!/usr/bin/env node
// Makes a small Linux guest of the distribution's own packages: its kernel, and an initramfs of busybox, the kernel
// modules named and one init script (which sources start.sh). Packages are downloaded and unpacked, never installed; any user can run it.
//
//   node etc/demo/guest.mjs                                        makes etc/demo/guest/{vmlinuz,initramfs,disk.raw}
//   node etc/demo/guest.mjs --out DIR --init FILE [MODULE…]        another guest, with its own init and modules
//   … --full                                                       of a kernel that knows more than a cloud's hardware

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as zlib from 'node:zlib';

const SCRIPT = fileURLToPath(import.meta.url);
const HERE = dirname(SCRIPT);
const OUT = join(HERE, 'guest');
/** What every init script sources. */
const START = fs.readFileSync(join(HERE, 'start.sh'));
/** Where packages are kept, by whether the kernel is a full one. */
const PACKAGES = { false: join(OUT, 'packages'), true: join(OUT, 'packages-full') };
const FLAVOURS = {
  false: ['linux-image-cloud-amd64', 'linux-image-virtual', 'linux-image-amd64'],
  true: ['linux-image-amd64', 'linux-image-generic'],
};
const DISK_SIZE = 64 * 1024 * 1024;
const MODULES = [
  ...['virtio_pci', 'virtio_blk', 'virtio_scsi', 'sd_mod', 'virtio_net', 'af_packet', 'virtio_rng', 'virtio_balloon'],
  ...['nvme', 'tpm_tis', 'tpm_crb', 'button', 'evdev'],
];

/**
 * Makes the guest in `out`, unless it is there already, made by this very script of the kernel that the distribution
 * has now.
 * @returns the kernel's package and version
 */
export function makeGuest({
  out = OUT,
  init = join(HERE, 'init.sh'),
  modules = MODULES,
  full = false,
  say = () => {},
} = {}) {
  const recipe = createHash('sha256');
  for (const part of [fs.readFileSync(SCRIPT), START, fs.readFileSync(init), modules.join(), String(full)])
    recipe.update(part);
  const stamp = { recipe: recipe.digest('hex') };
  const stampFile = join(out, 'stamp.json');
  const made = fs.existsSync(stampFile) ? JSON.parse(fs.readFileSync(stampFile, 'utf8')) : {};
  const source = findSource(full);
  if (made.recipe === stamp.recipe && (source.kernel ?? made.kernel) === made.kernel) return made.kernel;

  fs.mkdirSync(out, { recursive: true });
  const work = fs.mkdtempSync(join(out, '.work-'));
  try {
    const { root, kernel } = source.unpack(work, say);
    const { vmlinuz, moduleDir } = findKernel(root);
    fs.copyFileSync(vmlinuz, join(work, 'vmlinuz'));
    fs.chmodSync(join(work, 'vmlinuz'), 0o644);
    fs.writeFileSync(join(work, 'initramfs'), makeInitramfs(root, moduleDir, modules, init));
    fs.writeFileSync(join(work, 'disk.raw'), '');
    fs.truncateSync(join(work, 'disk.raw'), DISK_SIZE);
    fs.writeFileSync(join(work, 'stamp.json'), JSON.stringify({ ...stamp, kernel }));
    // Without its stamp a half-renamed guest is made anew.
    fs.rmSync(stampFile, { force: true });
    for (const file of ['vmlinuz', 'initramfs', 'disk.raw', 'stamp.json'])
      fs.renameSync(join(work, file), join(out, file));
    return kernel;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** What this distribution takes its kernel and busybox from; `kernel` is absent where that is not known beforehand. */
function findSource(full) {
  if (process.arch !== 'x64') throw new Error(`this guest is made for x86-64, and this machine is ${process.arch}`);
  if (has('apt-get')) return aptSource(full);
  if (has('dnf')) return dnfSource(full);
  if (has('pacman')) return installedSource();
  throw new Error('found none of apt-get, dnf and pacman to take a kernel from');
}

// ---------------------------------------------------------------------------------------------- Debian, Ubuntu

function aptSource(full) {
  // Apt's own user may not write into a user's folders.
  const usual = ['-o', 'APT::Sandbox::User=root'];
  const system = aptPackages(usual, full);
  return {
    kernel: system && nameKernel(system),
    unpack(work, say) {
      if (system && aptDownload(system, usual, PACKAGES[full], say)) return unpackDebs(system, PACKAGES[full], work);
      // The machine has no package lists, or old ones naming what the mirrors no longer have: fetch lists for this only.
      const state = join(work, 'apt');
      for (const dir of ['lists/partial', 'archives/partial']) fs.mkdirSync(join(state, dir), { recursive: true });
      const own = [...usual, '-o', `Dir::State::lists=${join(state, 'lists')}`, '-o', `Dir::Cache=${state}`];
      say('fetching fresh package lists');
      run('apt-get', [...own, 'update']);
      const fresh = aptPackages(own, full);
      if (!fresh || !aptDownload(fresh, own, PACKAGES[full], say))
        throw new Error(
          'the kernel package cannot be downloaded: is there a network? (apt-get update and apt-get download failed)',
        );
      return unpackDebs(fresh, PACKAGES[full], work);
    },
  };
}

/** `linux-image-6.12.48-cloud-amd64 6.12.48-1`, from the name of its file. */
function nameKernel(files) {
  return files
    .find((file) => file.startsWith('linux-image'))
    .split('_')
    .slice(0, 2)
    .join(' ');
}

/** The files of the kernel's packages and busybox, as the package lists name them; undefined when they do not. */
function aptPackages(options, full) {
  for (const flavour of FLAVOURS[full]) {
    try {
      const needed = run('apt-cache', [...options, 'depends', '--recurse', '--important', flavour]);
      const kernel = needed.split('\n').filter((line) => /^linux-(image|modules|binary)-\d/.test(line));
      // Where the files are here already they would be left out of the answer.
      const nowhere = ['--print-uris', 'download', 'busybox-static', ...kernel];
      return [...run('apt-get', [...options, ...nowhere], '/').matchAll(/^'[^']*' (\S+\.deb) /gm)].map(
        (match) => match[1],
      );
    } catch {
      // Not a package of this distribution; the next one may be.
    }
  }
  return undefined;
}

function aptDownload(files, options, packages, say) {
  const missing = files.filter((file) => !fs.existsSync(join(packages, file)));
  if (missing.length === 0) return true;
  say(`downloading ${missing.map((file) => file.split('_')[0]).join(', ')} (unpacked here, not installed)`);
  fs.mkdirSync(packages, { recursive: true });
  for (const file of fs.readdirSync(packages)) if (!files.includes(file)) fs.rmSync(join(packages, file));
  try {
    const names = files.map((file) => file.split('_')[0]);
    run('apt-get', [...options, 'download', ...names], packages);
    return files.every((file) => fs.existsSync(join(packages, file)));
  } catch {
    return false;
  }
}

function unpackDebs(files, packages, work) {
  const root = join(work, 'root');
  for (const file of files) run('dpkg-deb', ['-x', join(packages, file), root]);
  return { root, kernel: nameKernel(files) };
}

// ---------------------------------------------------------------------------------------------- Fedora, Arch

function dnfSource(full) {
  return {
    kernel: undefined,
    unpack(work, say) {
      const names = ['kernel-core', 'kernel-modules-core', ...(full ? ['kernel-modules'] : []), 'busybox'];
      say(`downloading ${names.join(', ')} (unpacked here, not installed)`);
      run('dnf', ['download', '--arch', 'x86_64', '--destdir', work, ...names], work);
      const files = fs.readdirSync(work).filter((file) => file.endsWith('.rpm'));
      const root = join(work, 'root');
      fs.mkdirSync(root);
      for (const file of files) {
        const archive = execFileSync('rpm2cpio', [join(work, file)], { maxBuffer: 2 ** 31 - 1 });
        execFileSync('cpio', ['-idm', '--quiet'], { cwd: root, input: archive });
      }
      return { root, kernel: files.find((file) => file.startsWith('kernel-core')).replace(/\.rpm$/, '') };
    },
  };
}

/** Pacman downloads for root only; an Arch machine has its kernel at hand, as modules and image side by side. */
function installedSource() {
  const { version } = findKernel('/');
  return { kernel: version, unpack: () => ({ root: '/', kernel: version }) };
}

// ---------------------------------------------------------------------------------------------- the guest itself

function findKernel(root) {
  for (const modules of ['lib/modules', 'usr/lib/modules']) {
    const dir = join(root, modules);
    for (const version of fs.existsSync(dir) ? fs.readdirSync(dir) : []) {
      const places = [join(root, 'boot', `vmlinuz-${version}`), join(dir, version, 'vmlinuz')];
      const vmlinuz = places.find((file) => fs.existsSync(file));
      if (vmlinuz) return { vmlinuz, version, moduleDir: join(dir, version) };
    }
  }
  throw new Error(`no kernel with its modules in ${root}; install the distribution's kernel package (linux)`);
}

function makeInitramfs(root, moduleDir, names, init) {
  const places = ['bin/busybox', 'usr/bin/busybox', 'usr/sbin/busybox'].map((file) => join(root, file));
  const busybox = places.find((file) => fs.existsSync(file));
  if (!busybox) throw new Error(`no busybox in ${root}; install the distribution's package busybox`);
  const files = [
    { name: 'bin/busybox', mode: 0o755, data: fs.readFileSync(busybox) },
    { name: 'start.sh', mode: 0o644, data: START },
    { name: 'init', mode: 0o755, data: fs.readFileSync(init) },
  ];
  loadOrder(moduleDir, names, busybox).forEach(({ name, data }, index) => {
    files.push({ name: `modules/${String(index).padStart(3, '0')}-${name}.ko`, mode: 0o644, data });
  });
  return zlib.gzipSync(cpio(files));
}

/** The modules named and all that they depend on, each after what it needs; what is built into the kernel is left out. */
function loadOrder(moduleDir, names, busybox) {
  const nameOf = (file) =>
    basename(file)
      .replace(/\.ko(\.\w+)?$/, '')
      .replaceAll('-', '_');
  const builtin = new Set(fs.readFileSync(join(moduleDir, 'modules.builtin'), 'utf8').trim().split('\n').map(nameOf));
  const files = new Map();
  for (const file of fs.readdirSync(join(moduleDir, 'kernel'), { recursive: true }))
    if (/\.ko(\.\w+)?$/.test(file)) files.set(nameOf(file), join(moduleDir, 'kernel', file));
  const ordered = new Map();
  const add = (name) => {
    if (builtin.has(name) || ordered.has(name)) return;
    const file = files.get(name);
    if (!file) throw new Error(`the kernel ${basename(moduleDir)} has no module ${name}`);
    const data = readModule(file, busybox);
    const depends = /\0depends=([^\0]*)\0/.exec(data.toString('latin1'))?.[1] ?? '';
    for (const each of depends.split(',').filter(Boolean)) add(each.replaceAll('-', '_'));
    ordered.set(name, data);
  };
  names.forEach(add);
  return [...ordered].map(([name, data]) => ({ name, data }));
}

function readModule(file, busybox) {
  const packed = fs.readFileSync(file);
  if (file.endsWith('.xz')) return execFileSync(busybox, ['xzcat', file], { maxBuffer: 2 ** 30 });
  if (file.endsWith('.gz')) return zlib.gunzipSync(packed);
  if (file.endsWith('.zst'))
    return zlib.zstdDecompressSync?.(packed) ?? execFileSync('zstd', ['-dcq', file], { maxBuffer: 2 ** 30 });
  return packed;
}

/** An archive in the kernel's `newc` format (Documentation/driver-api/early-userspace/buffer-format.rst). */
function cpio(files) {
  const folders = [...new Set(files.map(({ name }) => dirname(name)))].filter((name) => name !== '.');
  const entries = [
    ...folders.map((name) => ({ name, mode: 0o40755, data: Buffer.alloc(0) })),
    ...files.map((file) => ({ ...file, mode: 0o100000 | file.mode })),
    { name: 'TRAILER!!!', mode: 0, data: Buffer.alloc(0) },
  ];
  const pad = (buffer) => Buffer.concat([buffer, Buffer.alloc(-buffer.length & 3)]);
  return Buffer.concat(
    entries.flatMap(({ name, mode, data }, index) => {
      const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, Buffer.byteLength(name) + 1, 0];
      const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
      return [pad(Buffer.from(header)), pad(data)];
    }),
  );
}

function has(program) {
  return (process.env.PATH ?? '').split(':').some((dir) => fs.existsSync(join(dir, program)));
}

function run(program, args, cwd) {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 28 });
}

if (resolve(process.argv[1]) === SCRIPT) {
  const { values, positionals } = parseArgs({
    options: { out: { type: 'string' }, init: { type: 'string' }, full: { type: 'boolean' } },
    allowPositionals: true,
  });
  const say = (text) => process.stderr.write(`guest: ${text}\n`);
  try {
    const modules = positionals.length > 0 ? { modules: positionals } : {};
    process.stdout.write(`${makeGuest({ ...values, ...modules, say })}\n`);
  } catch (error) {
    say(error.message);
    process.exitCode = 3;
  }
}

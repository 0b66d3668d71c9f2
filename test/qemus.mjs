#!/usr/bin/env node
// Gets the QEMUs of other Debian releases, for the tests that start every option in each of them, their virtiofsd and passt,
// the Looking Glass client that only the newest has, and an iSCSI target, whose package would start a server on this machine.
// Packages are downloaded and unpacked into a folder of the user's cache, never installed; any user can run it.
//
//   node test/qemus.mjs               gets what is not there yet
//   node test/qemus.mjs --refresh     gets all of them anew
//   node test/qemus.mjs --list        tells as JSON where they are, or why they are not

import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

/** The releases, and what they are called for people. */
const SUITES = { trixie: 'Debian 13', sid: 'Debian unstable' };
const PACKAGES =
  'qemu-system-x86 qemu-system-gui qemu-system-modules-spice qemu-system-modules-opengl qemu-block-extra libpipewire-0.3-modules ovmf tgt virtiofsd passt'.split(
    ' ',
  );
/** The greater part of what the packages bring, and nothing that QEMU reads. */
const UNUSED = ['doc', 'icons', 'info', 'iso-codes', 'locale', 'man', 'perl5'];
const MIB = 1024 * 1024;
const SPACE = 1500 * MIB;

/** Releases that have the Looking Glass client; its letters come from a font of its own choice. */
const WITH_CLIENT = ['sid'];
const CLIENT_PACKAGES = ['looking-glass-client', 'fonts-dejavu-core'];

/** Below a release's root. */
const QEMU = 'usr/bin/qemu-system-x86_64';
const ISCSI = 'usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so';
/** What runs beside QEMU, by the names of their starters. */
const BESIDE = {
  tgtd: 'usr/sbin/tgtd',
  tgtadm: 'usr/sbin/tgtadm',
  virtiofsd: 'usr/libexec/virtiofsd',
  passt: 'usr/bin/passt',
};
const CLIENT = 'usr/bin/looking-glass-client';
const LOADER = 'usr/lib64/ld-linux-x86-64.so.2';

const { values: flags } = parseArgs({ options: { refresh: { type: 'boolean' }, list: { type: 'boolean' } } });
// This machine's own needs no getting.
const suites = Object.keys(SUITES).filter((suite) => suite !== osRelease('VERSION_CODENAME'));
if (flags.list) process.stdout.write(JSON.stringify(suites.map(describe)));
else for (const suite of suites) if (flags.refresh || !isWhole(suite)) provide(suite);

/** Where the QEMU of a release lies: the program `qemu-system-x86_64` and the folder `firmware`. */
function placeOf(suite) {
  const { XDG_CACHE_HOME: cache } = process.env;
  return join(cache?.startsWith('/') ? cache : join(homedir(), '.cache'), 'ezvm-test', 'qemu', suite);
}

/** What tests have to know: the release for people, and where its QEMU is, or why it is not. */
function describe(suite) {
  const place = placeOf(suite);
  const release = SUITES[suite];
  const binary = join(place, 'qemu-system-x86_64');
  const client = join(place, 'looking-glass-client');
  if (fs.existsSync(binary)) {
    const beside = Object.keys(BESIDE)
      .map((name) => [name, join(place, name)])
      .filter(([, path]) => fs.existsSync(path));
    const firmware = join(place, 'firmware');
    return { release, binary, firmware, ...Object.fromEntries(beside), ...(fs.existsSync(client) && { client }) };
  }
  const reason = reasonFile(suite);
  return { release, reason: fs.existsSync(reason) ? fs.readFileSync(reason, 'utf8') : 'node test/qemus.mjs gets it' };
}

function isWhole(suite) {
  const { binary, client } = describe(suite);
  const isComplete = [ISCSI, ...Object.values(BESIDE)].every((each) =>
    fs.existsSync(join(placeOf(suite), 'root', each)),
  );
  return binary !== undefined && isComplete && (client !== undefined || !WITH_CLIENT.includes(suite));
}

function reasonFile(suite) {
  return `${placeOf(suite)}.reason`;
}

/** Gets the QEMU of one release; where that cannot be, the reason is written down, and is a failure if it could be. */
function provide(suite) {
  const place = placeOf(suite);
  fs.mkdirSync(dirname(place), { recursive: true });
  let reason = unfit();
  try {
    if (reason === undefined) {
      process.stderr.write(`getting the QEMU of ${SUITES[suite]}, a download of less than 250 MB, into ${place}\n`);
      getQemu(suite, place);
      fs.rmSync(reasonFile(suite), { force: true });
      return;
    }
  } catch (error) {
    reason = error.message;
    process.stderr.write(`the QEMU of ${SUITES[suite]} is not to be had: ${reason}\n`);
    process.exitCode = 1;
  }
  fs.writeFileSync(reasonFile(suite), reason);
}

/** Why Debian's packages are of no use to this machine; undefined where they can be had. */
function unfit() {
  if (process.arch !== 'x64') return `they are got for x86-64, and this machine is ${process.arch}`;
  if (osRelease('ID') !== 'debian') return 'they are got by apt, on Debian';
  if (/["'\\\n]/.test(placeOf(''))) return 'the name of the cache folder has quotes';
  return undefined;
}

function osRelease(key) {
  const text = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : '';
  return new RegExp(`^${key}="?([^"\n]*)`, 'm').exec(text)?.[1];
}

/** Gets the QEMU of one release into `place`; throws Error where that is refused. */
function getQemu(suite, place) {
  const work = fs.mkdtempSync(`${place}.`);
  try {
    const { bavail, bsize } = fs.statfsSync(work);
    if (bavail * bsize < SPACE)
      throw new Error(`${SPACE / MIB} MiB are needed in ${work}, and ${Math.floor((bavail * bsize) / MIB)} are free`);
    unpack(download(suite, join(work, 'apt')), join(work, 'root'));
    describeFirmware(join(work, 'root'), join(work, 'firmware'), place);
    writeStarters(suite, work, place);
    fs.rmSync(join(work, 'apt'), { recursive: true });
    run(join(work, 'root', LOADER), [
      '--library-path',
      libraries(join(work, 'root')),
      join(work, 'root', QEMU),
      '--version',
    ]);
    // Whoever else gets it at the same time has got the same; whoever uses the old one should not find half of it.
    const old = `${work}.old`;
    if (fs.existsSync(place)) fs.renameSync(place, old);
    fs.renameSync(work, place);
    fs.rmSync(old, { recursive: true, force: true });
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads the packages and all that they depend on, whatever of it this machine has; apt verifies them. */
function download(suite, dir) {
  for (const each of ['lists/partial', 'archives/partial']) fs.mkdirSync(join(dir, each), { recursive: true });
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signed = fs.existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  fs.writeFileSync(join(dir, 'sources.list'), `deb ${signed}${mirror()} ${suite} main\n`);
  fs.writeFileSync(join(dir, 'status'), '');
  // Proxies and certificates are the machine's own; its hooks, preferences and locks are none of ours.
  const network = run('apt-config', ['dump'])
    .split('\n')
    .filter((line) => /^Acquire::(?!Allow|IndexTargets|Languages|cdrom)/.test(line));
  const own = {
    'Dir::State': dir,
    'Dir::State::status': join(dir, 'status'),
    'Dir::Cache': dir,
    'Dir::Etc::main': '/dev/null',
    'Dir::Etc::parts': '/dev/null',
    'Dir::Etc::sourcelist': join(dir, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Acquire::Languages': 'none',
    // A mirror that stood still has QEMUs as good as any.
    'Acquire::Check-Valid-Until': 'false',
    'APT::Install-Recommends': '0',
    // Apt's own user may not write into a user's folders.
    'APT::Sandbox::User': 'root',
    'Debug::NoLocking': '1',
  };
  const settings = Object.entries(own).map(([key, value]) => `${key} "${value}";`);
  fs.writeFileSync(join(dir, 'apt.conf'), `${[...settings, ...network].join('\n')}\n`);
  const env = { ...process.env, APT_CONFIG: join(dir, 'apt.conf') };
  run('apt-get', ['update', '--error-on=any'], { env });
  const packages = WITH_CLIENT.includes(suite) ? [...PACKAGES, ...CLIENT_PACKAGES] : PACKAGES;
  run('apt-get', ['install', '--yes', '--download-only', ...packages], { env });
  const debs = fs.readdirSync(join(dir, 'archives')).filter((name) => name.endsWith('.deb'));
  return debs.map((name) => join(dir, 'archives', name));
}

/** Where this machine gets its own packages. */
function mirror() {
  const known = run('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(RELEASE) $(COMPONENT)',
    'Created-By: Packages',
  ]);
  const releases = [osRelease('VERSION_CODENAME'), 'stable', 'testing', 'unstable', 'sid'];
  const found = known
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, release, component]) => releases.includes(release) && component === 'main');
  if (!found) throw new Error("apt's sources name no mirror of Debian");
  return found[0];
}

function unpack(debs, root) {
  fs.mkdirSync(root);
  for (const deb of debs) run('dpkg-deb', ['--extract', deb, root]);
  for (const name of UNUSED) fs.rmSync(join(root, 'usr/share', name), { recursive: true, force: true });
}

/** The release's firmware descriptors, with the files where they lie here. */
function describeFirmware(root, folder, place) {
  fs.mkdirSync(folder);
  const from = join(root, 'usr/share/qemu/firmware');
  for (const name of fs.readdirSync(from))
    fs.writeFileSync(
      join(folder, name),
      fs.readFileSync(join(from, name), 'utf8').replaceAll('"/usr/share/', `"${place}/root/usr/share/`),
    );
}

/** PulseAudio has a library of its own in a folder of its own. */
function libraries(root) {
  return ['', '/pulseaudio'].map((folder) => `${root}/usr/lib/x86_64-linux-gnu${folder}`).join(':');
}

/** Programs that run those of a release with its own libraries, modules and data, among the files of this machine. */
function writeStarters(suite, folder, place) {
  const root = join(place, 'root');
  const share = join(root, 'usr/share');
  const write = (name, program, ...args) => {
    const lines = [
      '#!/bin/sh',
      // Of the same release as the libraries: PipeWire's crashes with the modules of another.
      ...Object.entries({
        QEMU_MODULE_DIR: 'qemu',
        PIPEWIRE_MODULE_DIR: 'pipewire-0.3',
        SPA_PLUGIN_DIR: 'spa-0.2',
      }).map(([variable, dir]) => `export ${variable}='${root}/usr/lib/x86_64-linux-gnu/${dir}'`),
      `exec '${root}/${LOADER}' --library-path '${libraries(root)}' '${root}/${program}' ${[...args, '"$@"'].join(' ')}`,
    ];
    fs.writeFileSync(join(folder, name), `${lines.join('\n')}\n`, { mode: 0o755 });
  };
  write('qemu-system-x86_64', QEMU, `-L '${share}/qemu'`, `-L '${share}/seabios'`);
  for (const [name, program] of Object.entries(BESIDE)) write(name, program);
  if (WITH_CLIENT.includes(suite)) write('looking-glass-client', CLIENT);
}

function run(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', stdio: 'pipe', ...options });
  if (status === 0) return stdout;
  const lines = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n');
  const said = lines.find((line) => line.startsWith('E: ')) ?? lines.find((line) => /error/i.test(line));
  throw new Error(`${program} ${args[0]} failed: ${said ?? error?.message ?? `status ${status}`}`);
}

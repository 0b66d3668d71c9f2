#!/usr/bin/env node
// Starts the demo guest with ezvm, shows what the guest reports from inside, and takes it down again.
// Exits 0 only if everything it promises was seen; what was not is named.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeGuest } from './guest.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const FILE = 'etc/demo.yaml';
const NAME = 'demo';
/** A slow machine without KVM may take a while to boot; a hung guest should not take for ever. */
const PATIENCE = 240_000;
const bold = process.stdout.isTTY && !process.env.NO_COLOR ? (text) => `\x1b[1m${text}\x1b[0m` : (text) => text;

const say = (text) => process.stdout.write(`${text}\n`);
const heading = (text) => say(`\n${bold(text)}`);
const missed = [];
const expect = (what, seen) => {
  if (!seen) missed.push(what);
};

/** Runs ezvm with these words, showing the command as a person would type it, and what it answers. */
function ezvm(...words) {
  say(`\n${bold(`$ ezvm ${words.join(' ')}`)}`);
  const { status, stdout } = spawnSync(process.execPath, ['bin/ezvm.js', ...words], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.stdout.write(stdout);
  expect(`"ezvm ${words.join(' ')}" exits 0 (it exited ${status})`, status === 0);
  return stdout;
}

function askJson(...words) {
  const { stdout } = spawnSync(process.execPath, ['bin/ezvm.js', ...words, '--json'], { cwd: ROOT, encoding: 'utf8' });
  return stdout ? JSON.parse(stdout) : {};
}

/** A zombie has ended, and waits for nothing but its parent. */
function alive(pid) {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Follows the console's log, passing on the lines of the report as they come, until the guest waits or QEMU is gone. */
async function followReport(log, qemu) {
  const report = {};
  let shown = 0;
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const running = alive(qemu);
    const lines = readConsole(log);
    for (const line of lines.slice(shown)) {
      const field = /^(\w+): (.*)$/.exec(line);
      if (!field) continue;
      say(`  ${line}`);
      report[field[1]] = field[2];
    }
    shown = lines.length;
    if (lines.includes('waiting for the power button')) return { ...report, waiting: true };
    if (!running) break;
    await sleep(50);
  }
  say(`  (nothing more; the console's log is ${log})`);
  return report;
}

/** The finished lines that the guest's own program has written. */
function readConsole(log) {
  const text = existsSync(log) ? readFileSync(log, 'utf8') : '';
  const lines = text.replaceAll('\r', '').split('\n').slice(0, -1);
  const start = lines.indexOf('--- ezvm demo guest ---');
  return start === -1 ? [] : lines.slice(start);
}

/** What the guest should find, taken from what QEMU was told. */
function expected(plan) {
  const all = (name) => plan.qemu.options.filter((option) => option.name === name).map((option) => option.args);
  const device = (driver) => all('device').find((args) => args.driver === driver) ?? {};
  return { uuid: plan.vm.uuid, serial: device('virtio-blk-pci').serial, mac: device('virtio-net-pci').mac };
}

function compare(report, { uuid, serial, mac }) {
  const sees = (what, key, ...texts) =>
    expect(
      `the guest reports ${what}`,
      texts.every((text) => report[key]?.includes(text)),
    );
  sees('its kernel', 'kernel', '.');
  sees('UEFI', 'firmware', 'UEFI');
  sees(`the uuid ${uuid}`, 'machine', uuid);
  sees('2 CPUs', 'cpus', '2, ');
  sees('512 MiB of memory', 'memory', '512 MiB');
  sees(`the disk of 64 MiB with the serial number ${serial}`, 'disk', '64 MiB', String(serial));
  sees(`the network card ${mac}, with an address by DHCP`, 'network', String(mac), 'address 10.0.2.');
  sees('a TPM 2.0, whose PCR 0 the firmware has extended', 'tpm', 'version 2, PCR 0 ');
  expect('PCR 0 of the TPM is not zero', !/PCR 0 0+$/.test(report.tpm ?? ''));
  expect('the guest comes to its end and waits for the power button', report.waiting);
}

function checkNothingLeft(plan, processes, log) {
  const { runDir } = plan.vm;
  const left = [
    ...Object.entries(processes)
      .filter(([, pid]) => alive(pid))
      .map(([name, pid]) => `${name} (pid ${pid})`),
    ...(existsSync(dirname(runDir)) ? readdirSync(dirname(runDir)) : [])
      .filter((name) => name === basename(runDir) || name === `.${basename(runDir)}.lock`)
      .map((name) => join(dirname(runDir), name)),
  ];
  const names = Object.entries(processes).map(([name, pid]) => `${name} (pid ${pid})`);
  if (left.length === 0)
    say(`  ${names.join(' and ')} have ended; no socket, lock or other file is in ${dirname(runDir)}`);
  else say(`  left: ${left.join(', ')}`);
  expect(`nothing is left running or in ${dirname(runDir)}`, left.length === 0);
  const last = readConsole(log).slice(-3);
  expect('the guest shuts down by itself at the power button', last.includes('power button pressed: shutting down'));
}

async function main() {
  heading('A small Linux guest, of this distribution’s own packages');
  const kernel = makeGuest({ say: (text) => say(`  ${text}`) });
  say(`  ${relative(ROOT, join(import.meta.dirname, 'guest'))} has ${kernel} and busybox`);
  const start = Date.now();

  heading('The VM’s file');
  say(readFileSync(join(ROOT, FILE), 'utf8').trimEnd().replace(/^/gm, '  '));
  const plan = askJson('plan', FILE);
  if (!plan.vm) return ezvm('check', FILE);
  const log = join(plan.vm.stateDir, 'serial0.log');

  // In a container there may be nobody but root.
  ezvm(FILE, ...(process.geteuid() === 0 ? ['--i-know-qemu-runs-as-root'] : []));
  const status = askJson('status', NAME);
  if (!status.pid) return expect('QEMU runs after the start', false);
  const processes = { QEMU: status.pid, ...Object.fromEntries(status.sidecars.map(({ name, pid }) => [name, pid])) };
  expect(
    'swtpm runs beside QEMU',
    status.sidecars.some(({ name, alive: up }) => name === 'swtpm' && up),
  );
  process.once('SIGINT', () => {
    ezvm('stop', '--force', NAME);
    process.exit(130);
  });
  try {
    heading('What the guest says on its serial console');
    compare(await followReport(log, status.pid), expected(plan));
    expect('ezvm status says that the VM runs', ezvm('status', NAME).includes('running'));
    const { mac } = expected(plan);
    expect('the monitor answers with the network card', ezvm('monitor', NAME, 'info', 'network').includes(mac));
    ezvm('stop', NAME);
    heading('Nothing is left behind');
    checkNothingLeft(plan, processes, log);
  } finally {
    if (alive(status.pid)) ezvm('stop', '--force', NAME);
  }
  say(`\nFrom the VM's file to the end in ${((Date.now() - start) / 1000).toFixed(1)} s`);
}

try {
  await main();
} catch (error) {
  missed.push(error.message);
}
if (missed.length > 0) {
  say(`\nNot seen:\n${missed.map((what) => `  - ${what}`).join('\n')}`);
  process.exitCode = 1;
} else {
  say('All of it was seen.');
}

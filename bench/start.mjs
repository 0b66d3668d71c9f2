// How long ezvm takes, side by side with what it is measured against, in one run: medians, and ratios of medians.
// The commands take turns, so that a machine that gets slower meanwhile slows all of them.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.argv[2] ?? 25);
const root = fileURLToPath(new URL('..', import.meta.url));
const ezvm = join(root, 'bin', 'ezvm.js');
const scratch = mkdtempSync(join(tmpdir(), 'ezvm-bench-'));

// Reading extra certificates would add the same tens of milliseconds to both sides of every ratio.
const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...inherited } = process.env;
const env = {
  ...inherited,
  XDG_CACHE_HOME: join(scratch, 'cache'),
  XDG_CONFIG_HOME: join(scratch, 'config'),
  XDG_RUNTIME_DIR: join(scratch, 'run'),
  XDG_STATE_HOME: join(scratch, 'state'),
};
for (const dir of ['cache', 'config/ezvm', 'run', 'state'])
  mkdirSync(join(scratch, dir), { recursive: true, mode: 0o700 });
const example = join(root, 'etc', 'windows-11-gaming.yaml');
const vm = join(scratch, 'bench.yaml');
writeFileSync(
  vm,
  'template: other\nmachine: { accel: tcg }\nmemory: 64M\ngpu: none\ndisplay: none\naudio: none\nusb: none\n',
);

/** Milliseconds that a command takes, from spawn to exit. */
function time(...argv) {
  const start = performance.now();
  const { status, stderr } = spawnSync(argv[0], argv.slice(1), { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const taken = performance.now() - start;
  // `check` of an example finds that its hardware is not here.
  if (status !== 0 && !(argv.includes('check') && status === 3))
    throw new Error(`${argv.join(' ')}: exit ${status}\n${stderr}`);
  return taken;
}

function cold(...argv) {
  rmSync(join(scratch, 'cache'), { recursive: true, force: true });
  return time(...argv);
}

const node = process.execPath;
const version = spawnSync(node, [ezvm, 'version', '--json'], { env, encoding: 'utf8' });
const hasQemu = JSON.parse(version.stdout).qemu !== null;

/** A QEMU that notes the moment it was exec'd; bash knows the time without starting a program. */
function noteExec() {
  const { qemu } = JSON.parse(spawnSync(node, [ezvm, 'facts'], { env, encoding: 'utf8', maxBuffer: 1e8 }).stdout);
  const shim = join(scratch, 'qemu-shim');
  writeFileSync(shim, `#!/bin/bash\nprintf %s "$EPOCHREALTIME" > '${scratch}/exec'\nexec '${qemu.binary}' "$@"\n`, {
    mode: 0o755,
  });
  writeFileSync(join(scratch, 'config', 'ezvm', 'ezvm.yaml'), `qemu: ${shim}\n`);
}

function startTimes() {
  const begun = performance.timeOrigin + performance.now();
  const whole = time(node, ezvm, 'start', vm, ...(process.geteuid() === 0 ? ['--i-know-qemu-runs-as-root'] : []));
  const exec = Number(readFileSync(join(scratch, 'exec'), 'utf8')) * 1000 - begun;
  time(node, ezvm, 'stop', '--force', 'bench');
  return { exec, whole };
}

/** The same command line, started and let go over QMP by as little code as can be. */
async function directTime() {
  const { stdout } = spawnSync(node, [ezvm, 'args', '--json', vm], { env, encoding: 'utf8' });
  const { qemu } = JSON.parse(stdout);
  mkdirSync(join(scratch, 'run', 'ezvm', 'bench'), { recursive: true });
  const start = performance.now();
  const child = spawn(
    qemu[0],
    [...qemu.slice(1), '-S', '-chardev', 'stdio,id=direct', '-mon', 'chardev=direct,mode=control'],
    { env, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  for (const command of ['', 'qmp_capabilities', 'cont']) {
    if (command) child.stdin.write(`{"execute":"${command}"}\n`);
    await lines.next();
  }
  const taken = performance.now() - start;
  child.stdin.write('{"execute":"quit"}\n');
  await new Promise((resolve) => child.once('exit', resolve));
  return taken;
}

const samples = new Map();
const keep = (name, value) => samples.set(name, [...(samples.get(name) ?? []), value]);
const median = (name) =>
  (samples.get(name) ?? []).toSorted((a, b) => a - b)[Math.floor((samples.get(name) ?? []).length / 2)];

try {
  for (let round = -1; round < ROUNDS; round++) {
    const note = round < 0 ? () => {} : keep;
    note('node -e 0', time(node, '-e', '0'));
    note('args, cold caches', cold(node, ezvm, 'args', example));
    note('args, warm caches', time(node, ezvm, 'args', example));
    note('check, cold caches', cold(node, ezvm, 'check', example));
    note('check, warm caches', time(node, ezvm, 'check', example));
  }
  if (hasQemu) {
    noteExec();
    for (let round = -1; round < ROUNDS; round++) {
      const note = round < 0 ? () => {} : keep;
      note('node -e 0, again', time(node, '-e', '0'));
      const { exec, whole } = startTimes();
      note('start, to the exec of QEMU', exec);
      note('start, to the running guest and exit', whole);
      note('the same QEMU by hand, to the running guest', await directTime());
    }
  }
  const width = Math.max(...[...samples.keys()].map((name) => name.length));
  process.stdout.write(
    `${ROUNDS} rounds, Node ${process.version}\n${'median of'.padEnd(width)}        ms   × bare Node\n`,
  );
  for (const name of samples.keys()) {
    const bare = median(name.startsWith('start') || name.startsWith('the same') ? 'node -e 0, again' : 'node -e 0');
    process.stdout.write(
      `${name.padEnd(width)}  ${median(name).toFixed(1).padStart(8)}  ${(median(name) / bare).toFixed(2).padStart(10)}\n`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

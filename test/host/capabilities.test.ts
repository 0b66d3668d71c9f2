import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { probeKvm, probeQemu, probeSchema } from '../../src/host/capabilities.ts';
import { readReplies } from '../../src/host/replies.ts';
import { formatVersion } from '../../src/qemu/option.ts';
import { NO_QEMU, QEMU, RECORDINGS, readRecording } from '../qemu/recordings.ts';
import { bundle, program, scratch } from './scratch.ts';

const NAME = 'qemu-system-x86_64';

async function refusal(binary: string): Promise<EzvmError> {
  const error = await probeQemu(binary).catch((caught: unknown) => caught);
  if (!(error instanceof EzvmError)) throw new Error('it was not refused');
  return error;
}

describe.skipIf(NO_QEMU)('the QEMU of this machine (left out where there is none)', () => {
  it('tells what it has, in less than a second, and leaves no process', async () => {
    const start = performance.now();
    const qemu = await probeQemu(QEMU);
    expect(performance.now() - start).toBeLessThan(4000);
    expect(execFileSync(QEMU, ['--version'], { encoding: 'utf8' })).toContain(formatVersion(qemu.version));
    expect(qemu).toMatchObject({ binary: QEMU, arch: 'x86_64', tpmTypes: ['passthrough', 'emulator'] });
    expect(qemu.machines['q35']).toBe(`pc-q35-${qemu.version.major}.${qemu.version.minor}`);
    expect(qemu.cpuModels).toEqual(expect.arrayContaining(['host', 'max', 'qemu64']));
    expect(qemu.devices).toEqual(expect.arrayContaining(['virtio-blk-pci', 'scsi-hd', 'tpm-crb']));
    expect(qemu.objects).toContain('memory-backend-memfd');
    // These three come from its help texts, which know what is installed.
    expect(qemu.displays).toContain('none');
    expect(qemu.displays).toEqual(helpWords('-display'));
    expect(qemu.netdevs).toEqual(helpWords('-netdev'));
  });

  it('has -spice exactly when it takes it', async () => {
    const { spice } = await probeQemu(QEMU);
    const said = execFileSync('/bin/sh', ['-c', `${QEMU} -spice help 2>&1; :`], { encoding: 'utf8' });
    expect(spice).toBe(!/invalid option|no option group/.test(said));
  });

  it('tells its whole syntax, whatever modules it misses', async () => {
    const qemu = await probeQemu(QEMU);
    const schema = await probeSchema(qemu);
    expect(schema.version).toEqual(qemu.version);
    expect(schema.devices).toEqual(qemu.devices);
    expect(Object.keys(schema.properties)).toEqual(
      expect.arrayContaining([...qemu.devices, 'max-x86_64-cpu', `${qemu.machines['q35']}-machine`]),
    );
    expect(schema.options['spice'] !== undefined).toBe(qemu.spice);
    const recording = RECORDINGS.find(({ name }) => name === `qemu-${formatVersion(qemu.version)}`);
    if (!recording) return;
    const recorded = readReplies(readRecording(recording), recording.name).schema;
    for (const type of qemu.devices) expect(schema.properties[type]).toEqual(recorded.properties[type]);
  });

  it('goes on after a question that kills it', async () => {
    const qemu = await probeQemu(QEMU);
    // QEMU 7.2 aborts when asked for the properties of microvm; newer ones answer or refuse.
    const schema = await probeSchema({
      ...qemu,
      machines: { q35: 'microvm', pc: qemu.machines['pc'] ?? '' },
      devices: ['e1000', 'not-there'],
    });
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['e1000', `${qemu.machines['pc']}-machine`]));
    expect(schema.properties).not.toHaveProperty('not-there');
  });

  it('says of KVM what a VM finds', async () => {
    const { facts, lasting } = await probeKvm(QEMU, 'x86_64');
    if (facts.usable) expect(facts).toEqual({ usable: true });
    else {
      expect(facts.reason).toMatch(/^QEMU can make no virtual CPU with it: \S/);
      expect(facts.reason).not.toMatch(/\n|qemu-system/);
      expect(facts.help).toMatch(/\S/);
    }
    expect(lasting).toBe(true);
  });

  it('does not outlive a prober that is killed', async () => {
    const dir = scratch();
    const pidFile = join(dir, 'pid');
    // Stands in for a QEMU that hangs: it tells its pid and waits for ever.
    const binary = program(dir, NAME, `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 1000\n`);
    const script = await bundle(
      dir,
      `require('SRC/host/capabilities.ts').probeKvm(${JSON.stringify(binary)}, 'x86_64')`,
    );
    const prober = spawn(process.execPath, [script], { stdio: 'ignore' });
    const pid = await until(() => Number(readFileSync(pidFile, 'utf8')) || undefined);
    prober.kill('SIGKILL');
    await until(() => (isAlive(pid) ? undefined : true));
  });
});

describe('a program that is no good QEMU', () => {
  it.each([
    [
      '#!/bin/sh\necho "qemu: libfoo.so: cannot open shared object file" >&2; exit 127\n',
      'libfoo.so: cannot open shared object file',
    ],
    ['#!/bin/sh\nexit 3\n', 'it ended with status 3'],
    ['#!/bin/sh\nkill -ABRT $$\n', 'it died of SIGABRT'],
    ['#!/bin/sh\necho nonsense >&3; exec sleep 1000\n', 'what answers is no QMP monitor: "nonsense"'],
    ['#!/bin/sh\nexec 3>&-; exec sleep 1000\n', 'QEMU closed its QMP monitor'],
  ])('%j is named with its reason', async (text, reason) => {
    const binary = program(scratch(), NAME, text);
    const error = await refusal(binary);
    expect(error.exit).toBe(3);
    expect(error.diagnostics).toEqual([
      {
        severity: 'error',
        code: 'qemu-unusable',
        message: `${binary} cannot be asked what it can do: ${reason}`,
        help: expect.stringContaining('--version'),
      },
    ]);
  });

  it('is told when it cannot be started at all', async () => {
    const dir = scratch();
    expect((await refusal(join(dir, 'none'))).message).toMatch(
      /cannot be asked what it can do: .*(No such file|ENOENT)/,
    );
  });

  it('is told when it dies of every question', async () => {
    const binary = program(
      scratch(),
      NAME,
      `#!/bin/sh
printf '%s\\n' '{"QMP": {}}' >&3
read -r line <&3
printf '%s\\n' '{"return": {}, "id": 1}' >&3
read -r line <&3
echo "qemu: error: out of luck" >&2
exit 1
`,
    );
    const error = await refusal(binary);
    expect(error.message).toBe(`${binary} cannot be asked what it can do: out of luck`);
  });

  it('leaves no process behind when one of them hangs', async () => {
    const dir = scratch();
    const pids = join(dir, 'pids');
    const binary = program(
      dir,
      NAME,
      `#!/bin/sh\necho $$ >> ${pids}\ncase "$*" in *help) exec sleep 1000;; esac\nuntil [ "$(wc -l < ${pids})" -ge 4 ]; do :; done\nexit 1\n`,
    );
    await refusal(binary);
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number);
    expect(started).toHaveLength(4);
    await until(() => (started.some(isAlive) ? undefined : true));
  });

  it('makes KVM unusable with its reason, for now when the reason may pass', async () => {
    const busy = program(
      scratch(),
      NAME,
      '#!/bin/sh\necho "ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy" >&2; exit 1\n',
    );
    expect(await probeKvm(busy, 'x86_64')).toEqual({
      facts: {
        usable: false,
        reason: 'QEMU can make no virtual CPU with it: ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy',
        help: expect.stringContaining('VirtualBox'),
      },
      lasting: false,
    });
    expect(await probeKvm(busy, 'm68k')).toEqual({
      facts: { usable: false, reason: 'ezvm does not know KVM on m68k' },
      lasting: true,
    });
  });
});

function helpWords(option: string): string[] {
  const text = execFileSync(QEMU, [option, 'help'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => /^\S+$/.test(line));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function until<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 2000; tries++) {
    try {
      const found = look();
      if (found !== undefined) return found;
    } catch {
      // Not there yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it never happened');
}

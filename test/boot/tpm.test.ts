import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findProgram, programDirs } from '../../src/host/programs.ts';
import type { Machine } from './machine.ts';
import { NO_GUEST, scripted } from './scripted.ts';

const dirs = programDirs(process.env['PATH'], process.geteuid?.() ?? 0);
const LACKING = NO_GUEST ?? (findProgram('swtpm', dirs) ? undefined : 'no swtpm');

let machine: Machine | undefined;
afterEach(async () => {
  await machine?.remove();
  machine = undefined;
});

// Commands as "Trusted Platform Module Library, part 3" spells them, in hex.
const OWNER = '40000001';
const INDEX = '01500010';
/** The empty password, as which the owner of a new TPM speaks. */
const AUTH = '00000009400000090000000000';
const SECRET = 'kept by the TPM';
const LENGTH = SECRET.length.toString(16).padStart(4, '0');

/** The octal escapes for `printf` of one command: with a session, its length in front. */
function command(code: string, body: string): string {
  const size = (10 + body.length / 2).toString(16).padStart(8, '0');
  const bytes = Buffer.from(`${body === '' ? '8001' : '8002'}${size}${code}${body}`, 'hex');
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

// Read and written by the owner, and kept out of the lock against guessing.
const DEFINE = command('0000012a', `${OWNER}${AUTH}0000000e${INDEX}000b020600060000${LENGTH}`);
const WRITE = command('00000137', `${OWNER}${INDEX}${AUTH}${LENGTH}${Buffer.from(SECRET).toString('hex')}0000`);
const READ = command('0000014e', `${OWNER}${INDEX}${AUTH}${LENGTH}0000`);
const CLOCK = command('00000181', '');

/** The guest tells all its PCRs, how often the TPM was reset, and what the index holds; then it puts something there. */
const SCRIPT = `
for try in $(seq 100); do [ ! -e /dev/tpm0 ] || break; usleep 50000; done
cd /sys/class/tpm/tpm0/pcr-sha256 && for pcr in *; do echo "PCR $pcr: $(cat $pcr)"; done
ask() { exec 3<>/dev/tpm0; printf "$1" >&3; dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '/1 "%02x"'; exec 3<&-; }
echo "clock: $(ask '${CLOCK}')"
echo "index: $(ask '${READ}')"
echo "define: $(ask '${DEFINE}')"
echo "write: $(ask '${WRITE}')"
`;

interface Report {
  readonly pcrs: readonly string[];
  /** Times that the TPM has been switched on. */
  readonly resets: number;
  /** What the index held before this run put something there. */
  readonly kept: string | undefined;
}

/** Starts the VM, and waits until its guest has told all and switched it off. */
async function run(vm: Machine): Promise<Report> {
  await vm.start();
  const console = await vm.waitFor('--- end of script ---');
  await expect.poll(async () => (await vm.status()).condition, { timeout: 60_000 }).toBe('stopped');
  const answer = (name: string): string => new RegExp(`^${name}: ([0-9a-f]{20,})$`, 'm').exec(console)?.[1] ?? '';
  const index = answer('index');
  // After the header of ten bytes come the time and the clock of eight each.
  const resets = Number.parseInt(answer('clock').slice(52, 60), 16);
  if (index.slice(12, 20) !== '00000000') {
    expect([answer('define'), answer('write')].map((said) => said.slice(12, 20))).toEqual(['00000000', '00000000']);
    return { pcrs: pcrsIn(console), resets, kept: undefined };
  }
  return {
    pcrs: pcrsIn(console),
    resets,
    kept: Buffer.from(index.slice(32, 32 + 2 * SECRET.length), 'hex').toString(),
  };
}

function pcrsIn(console: string): string[] {
  return [...console.matchAll(/^PCR \d+: [0-9A-F]{64}$/gm)].map(([line]) => line).toSorted();
}

describe.skipIf(LACKING !== undefined)(`the TPM inside of a guest${LACKING ? ` (left out: ${LACKING})` : ''}`, () => {
  it.each([
    ['bios', 'tpm-tis'],
    ['uefi', 'tpm-crb'],
  ])('under %s has the same measurements after a restart, and what it was given to keep', async (firmware, model) => {
    machine = scripted(SCRIPT, `firmware: ${firmware}\ntpm: { type: swtpm, model: ${model} }\n`);
    const first = await run(machine);
    expect(first.pcrs).toHaveLength(24);
    expect(first.pcrs[0]).not.toMatch(/^PCR 0: 0+$/);
    expect(first.kept).toBeUndefined();

    const second = await run(machine);
    expect(second.pcrs).toEqual(first.pcrs);
    expect(second.resets).toBe(first.resets + 1);
    expect(second.kept).toBe(SECRET);

    // A TPM whose state is lost is another, which measures the same and has kept nothing.
    rmSync(join(machine.dir, 'state', 'ezvm', 'vm', 'tpm'), { recursive: true });
    const third = await run(machine);
    expect(third.pcrs).toEqual(first.pcrs);
    expect(third.kept).toBeUndefined();
  });
});

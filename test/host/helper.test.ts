import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { askAboutBridges, checkGrants, helperSentences } from '../../src/host/helper.ts';
import { scratch } from './scratch.ts';

/** A program that answers like the helper: what it would give are bridges whose names begin with `br`. */
function pretend(version = 'ezvm-priv 1'): { path: string } {
  const path = join(scratch(), 'ezvm-priv');
  const script = `#!/bin/sh
[ "$1" = --version ] && { echo '${version}'; exit 0; }
[ $# -le 33 ] || { echo 'ezvm-priv: more than 32 grants' >&2; exit 64; }
shift
for each; do case $each in
--) exit 0;;
*:br*) printf 'allowed\\t%s\\n' "$each";;
*) printf 'refused\\t%s\\t77\\tbridge %s: no\\n' "$each" "\${each#*:}";;
esac; done
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return { path };
}

describe('the helper is asked', () => {
  it('about every bridge, however many there are', async () => {
    const bridges = Array.from({ length: 40 }, (_, index) => (index % 20 === 0 ? `eth${index}` : `br${index}`));
    const asked = await askAboutBridges(pretend(), bridges);
    expect(asked.fault).toBeUndefined();
    expect(asked.bridges).toEqual(
      Object.fromEntries(bridges.map((name) => [name, name.startsWith('br') ? null : `bridge ${name}: no`])),
    );
  });

  it.each([
    ['another version', () => pretend('ezvm-priv 2'), /it says "ezvm-priv 2", not "ezvm-priv 1"/],
    ['another program', () => ({ path: '/bin/echo' }), /it says "echo .*, not/],
    ['none', () => ({ path: '/none' }), /it says "spawnSync \/none ENOENT", not/],
  ])('nothing when it is %s', async (_, make, told) => {
    const { fault, bridges } = await askAboutBridges(make(), ['br0']);
    expect(fault?.message).toMatch(told);
    expect(bridges).toBeUndefined();
  });

  it('and what it does not answer is a fault', async () => {
    const { path } = pretend();
    expect(await checkGrants(path, ['--tap=3:br0', '--tap=4:x'], '/bin/true')).toEqual({
      refused: [{ grant: '--tap=4:x', sentence: 'bridge x: no' }],
      faults: [],
    });
    expect((await checkGrants(path, [])).faults).toEqual(['it says nothing']);
    expect((await checkGrants(path, Array(40).fill('x'))).faults).toEqual(['more than 32 grants']);
  });

  it('and its warnings are no refusals', () => {
    expect(helperSentences(['ezvm-priv: no', 'ezvm-priv: warning: no log', 'qemu: ezvm-priv: '])).toEqual(['no']);
  });
});

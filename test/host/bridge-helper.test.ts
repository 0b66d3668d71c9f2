import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { probeBridgeHelper, readBridgeRules } from '../../src/host/bridge-helper.ts';
import { asStranger, IS_ROOT, program, scratch } from './scratch.ts';

describe("the rules of QEMU's bridge helper", () => {
  it('are read with the files that they include, round in a circle too', () => {
    const dir = scratch();
    const [main, more] = [join(dir, 'bridge.conf'), join(dir, 'more.conf')];
    writeFileSync(main, `# mine\n\n  allow br0  \ninclude ${more}\ninclude ${dir}/none\ndeny virbr0\n`);
    writeFileSync(more, `allow all\ninclude ${main}\n`);
    const rules = [
      { allow: true, bridge: 'br0' },
      { allow: true, bridge: 'all' },
      { allow: false, bridge: 'virbr0' },
    ];
    expect(readBridgeRules(main)).toEqual({ rules });
  });

  it.each([
    ['permit br0', 'has a line that is no rule: "permit br0"'],
    ['allow', 'has a line that is no rule: "allow"'],
  ])('allow nothing when one line is %s', (line, fault) => {
    const file = join(scratch(), 'bridge.conf');
    writeFileSync(file, `allow br0\n${line}\n`);
    expect(readBridgeRules(file)).toEqual({ rules: [], fault: `${file} ${fault}` });
  });

  it('may be missing', () => {
    expect(readBridgeRules('/none/bridge.conf')).toEqual({ rules: [], fault: '/none/bridge.conf does not exist' });
  });
});

describe("QEMU's bridge helper", () => {
  it.skipIf(!IS_ROOT)('has its right by setuid or as a capability, or from root', async () => {
    const dir = scratch();
    const helper = program(dir, 'helper');
    expect(await probeBridgeHelper(helper, undefined)).toMatchObject({ path: helper, privileged: true });
    chmodSync(dir, 0o755);
    const privileged = (getcap: string | null): Promise<unknown> =>
      asStranger(
        `require('SRC/host/bridge-helper.ts').probeBridgeHelper(${JSON.stringify(helper)}, ${JSON.stringify(getcap)} ?? undefined)
          .then((facts) => console.log(JSON.stringify(facts.privileged)))`,
      );
    expect(await privileged(null)).toBe(false);
    expect(await privileged(program(dir, 'none', '#!/bin/sh\n'))).toBe(false);
    expect(await privileged(program(dir, 'getcap', '#!/bin/sh\necho "$1 cap_net_admin=ep"\n'))).toBe(true);
    chmodSync(helper, 0o4755);
    expect(await privileged(null)).toBe(true);
  });
});

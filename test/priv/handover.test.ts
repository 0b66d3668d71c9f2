import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAN, makeDisk, makeLab, type PrivLab, WHY } from './lab.ts';

let lab: PrivLab;
let disk: ReturnType<typeof makeDisk>;
beforeAll(async () => {
  if (!CAN) return;
  lab = await makeLab();
  disk = makeDisk(lab, 'disk', 'only root reads this');
});
afterAll(async () => {
  disk?.detach();
  await lab?.sweep();
});

/** The lines of the witness as a map of what stands before the first blank or colon. */
function fields(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split('\n').map((line) => {
      const [, key = '', value = ''] = /^([^:\t ]+):?\s*(.*)$/.exec(line) ?? [];
      return [key, value.replaceAll(/\s+/g, ' ').trim()];
    }),
  );
}

describe.skipIf(!CAN)(`what the helper runs${WHY}`, () => {
  it('has the rights of the table in docs/helper.md and no others', () => {
    const { uid, gid, ids } = lab.member;
    lab.policy(`allow any program ${lab.witness}\n`);
    const { stdout, stderr, code } = lab.run(['run', '--vm=win', '--', lab.witness, 'status', 'root']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const groups = [...new Set(ids.split(',').slice(2))].map(Number).toSorted((a, b) => a - b);
    expect(fields(stdout)).toMatchObject({
      Uid: `${uid} ${uid} ${uid} ${uid}`,
      Gid: `${gid} ${gid} ${gid} ${gid}`,
      Groups: groups.join(' '),
      CapInh: '0000000000000000',
      CapPrm: '0000000000000000',
      CapEff: '0000000000000000',
      CapBnd: '0000000000000000',
      CapAmb: '0000000000000000',
      NoNewPrivs: '1',
      SigBlk: '0000000000000000',
      TracerPid: '0',
    });
    expect(stdout.match(/^try .*$/gm)).toEqual([
      'try setuid EPERM',
      'try seteuid EPERM',
      'try setgid EPERM',
      'try setgroups EPERM',
      'try mount EPERM',
      'try chroot EPERM',
      'try unshare EPERM',
      'try memlock EPERM',
      'try shadow EACCES',
      'try init EPERM',
    ]);
  });
});

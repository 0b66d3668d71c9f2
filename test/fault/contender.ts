import { closeSync, openSync, rmSync } from 'node:fs';
import { lockVm } from '../../src/admin/lock.ts';

/** Takes and gives back a lock many times; fails if anybody else is inside at the same time. */
async function main(): Promise<void> {
  const [runDir = '', turns = ''] = process.argv.slice(2);
  for (let turn = 0; turn < Number(turns); turn++) {
    const lock = await lockVm('vm', runDir, 'tidy');
    closeSync(openSync(`${runDir}.inside`, 'wx'));
    rmSync(`${runDir}.inside`);
    lock.release();
  }
}

void main();

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';

/** As test/qemus.mjs lists them: where a release's QEMU is, or why not. */
interface Listed {
  readonly release: string;
  readonly binary?: string;
  readonly firmware?: string;
  readonly virtiofsd?: string;
  readonly passt?: string;
  readonly reason?: string;
}

/** The QEMUs of other releases. */
export const OTHERS = JSON.parse(
  execFileSync(process.execPath, [join(CHECKOUT, 'test', 'qemus.mjs'), '--list'], { encoding: 'utf8' }),
) as readonly Listed[];

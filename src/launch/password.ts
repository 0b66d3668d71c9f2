import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { EXIT, EzvmError, fault } from '../core/diagnostic.ts';
import { shellQuote } from '../core/quote.ts';
import type { Password } from '../plan/planned-qemu.ts';
import type { QmpClient } from '../qemu/qmp.ts';
import { reasonOf } from './host-fault.ts';

/**
 * The password in the first line of a file that is the user's alone.
 * @throws EzvmError exit 3 when others could know it, or there is none
 */
export function readPassword({ file, origin }: Password): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const { uid, mode } = fstatSync(fd);
    if ((uid !== process.geteuid?.() && uid !== 0) || (mode & 0o077) !== 0)
      throw fault(EXIT.host, 'password-exposed', `others than you may read or change the password in ${file}`, {
        help: `chmod 600 ${shellQuote(file)}, and take another password if it may be known`,
        origin,
      });
    const [line = ''] = readFileSync(fd, 'utf8').split(/\r?\n/, 1);
    if (line === '') throw fault(EXIT.host, 'password-missing', `the first line of ${file} is empty`, { origin });
    return line;
  } catch (error) {
    if (error instanceof EzvmError) throw error;
    throw fault(EXIT.host, 'password-missing', `the password in ${file} cannot be read: ${reasonOf(error)}`, {
      origin,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Tells QEMU the passwords of its servers; until then they let nobody in. */
export async function setPasswords(qmp: QmpClient, passwords: readonly Password[], patience: number): Promise<void> {
  for (const one of passwords)
    await qmp.execute('set_password', { protocol: one.protocol, password: readPassword(one) }, patience);
}

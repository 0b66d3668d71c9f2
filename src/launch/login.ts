import { createCipheriv } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { EXIT, fault } from '../core/diagnostic.ts';
import type { Login } from '../plan/plan.ts';
import { reasonOf } from './host-fault.ts';
import { readPassword } from './password.ts';

/** By which every VNC program hides passwords in files, so that nobody reads them by chance; thrice, because OpenSSL has no single DES. */
const VNC_KEY = Buffer.from('e84ad660c4721ae0'.repeat(3), 'hex');

/**
 * Writes a file from which a viewer learns a password, so that it stands in no command line. The user alone can read it.
 * @throws EzvmError exit 3 when there is no such password, or the authority cannot be read
 */
export function writeLogin(login: Login): void {
  const { path, entries } = login;
  const password = readPassword(login.password);
  writeFileSync(path, entries ? connectionFile(login, password) : hidden(password), { mode: 0o600 });
}

/** As remote-viewer takes it. */
function connectionFile({ entries = {}, ca, password: { origin } }: Login, password: string): string {
  let authority = {};
  try {
    if (ca !== undefined) authority = { ca: readFileSync(ca, 'utf8') };
  } catch (error) {
    throw fault(EXIT.host, 'path-denied', `${ca} cannot be read: ${reasonOf(error)}`, { origin });
  }
  const lines = Object.entries({ ...entries, ...authority, password, 'delete-this-file': '1' });
  // A GKeyFile: https://docs.gtk.org/glib/struct.KeyFile.html
  const escaped = (text: string): string => text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/^ /, '\\s');
  return `[virt-viewer]\n${lines.map(([key, text]) => `${key}=${escaped(text)}\n`).join('')}`;
}

/** VNC looks at eight bytes. */
function hidden(password: string): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.write(password);
  return createCipheriv('des-ede3-ecb', VNC_KEY, null).setAutoPadding(false).update(bytes);
}

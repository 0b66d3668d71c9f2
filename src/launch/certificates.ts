import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, fault } from '../core/diagnostic.ts';
import { findProgram, programDirs } from '../host/programs.ts';

/** Elliptic curves are not known to every SPICE client. */
const KEY = ['-newkey', 'rsa:3072', '-nodes'];
const TEN_YEARS = ['-days', '3650'];
/** Some systems trust no server's certificate for longer. */
const A_SERVERS_LIFE = ['-days', '820'];

/**
 * Makes certificates for the screens of VMs in a directory: a CA unless one is there, and a server's certificate by it, in
 * the files that QEMU looks for. A directory is seen with all of them or as it was.
 * @param names of this machine, and its addresses, that viewers may call it by
 * @returns whether the CA is new, so that viewers have to be given it
 * @throws EzvmError exit 3 where openssl is missing or refuses
 */
export function makeCertificates(dir: string, names: readonly string[]): boolean {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const umask = process.umask(0o077);
  const work = mkdtempSync(join(dir, '.new-'));
  try {
    const isNew = !existsSync(join(dir, 'ca-cert.pem')) || !existsSync(join(dir, 'ca-key.pem'));
    const ca = isNew ? work : dir;
    if (isNew) makeCa(work, names[0] ?? 'this machine');
    makeServer(work, ca, names);
    const made = ['server-key.pem', 'server-cert.pem'];
    for (const name of isNew ? ['ca-key.pem', 'ca-cert.pem', ...made] : made)
      renameSync(join(work, name), join(dir, name));
    return isNew;
  } finally {
    rmSync(work, { recursive: true, force: true });
    process.umask(umask);
  }
}

function makeCa(dir: string, name: string): void {
  const what = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  // Its name tells nothing but where it is from, and has no sign that openssl would take for more.
  const subject = `/CN=ezvm on ${name.replace(/[^A-Za-z0-9.-]/g, '')}`;
  const out = ['-keyout', join(dir, 'ca-key.pem'), '-out', join(dir, 'ca-cert.pem')];
  openssl('req', '-x509', ...KEY, ...TEN_YEARS, '-subj', subject, ...what, ...out);
}

function makeServer(dir: string, ca: string, names: readonly string[]): void {
  const request = join(dir, 'request.pem');
  const extensions = join(dir, 'extensions');
  const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`);
  writeFileSync(
    extensions,
    `basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\nsubjectAltName=${alternatives.join(',')}\n`,
  );
  openssl('req', '-new', ...KEY, '-subj', `/CN=${names[0]}`, '-keyout', join(dir, 'server-key.pem'), '-out', request);
  const by = ['-CA', join(ca, 'ca-cert.pem'), '-CAkey', join(ca, 'ca-key.pem'), '-set_serial', serial()];
  const out = ['-out', join(dir, 'server-cert.pem')];
  openssl('x509', '-req', '-in', request, ...by, ...A_SERVERS_LIFE, '-extfile', extensions, ...out);
}

/** No two certificates of one CA may have the same. */
function serial(): string {
  return `0x${Date.now().toString(16)}`;
}

function openssl(...args: readonly string[]): void {
  const program = findProgram('openssl', programDirs(undefined, 0));
  if (program === undefined)
    throw fault(EXIT.host, 'program-missing', 'openssl is not installed', { help: 'install the package openssl' });
  const { status, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status === 0) return;
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw fault(EXIT.host, 'certificate-failed', `openssl ${args[0]} did not succeed: ${said}`);
}

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { Machine } from '../boot/machine.ts';
import { freePorts } from '../ports.ts';

const SECRET = 'kartoffel-7';
const MISSING = ['openssl', 'qemu-system-x86_64'].find((program) => {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`]).length === 0;
  } catch {
    return true;
  }
});

let machine: Machine;
afterEach(() => machine?.remove());

async function machineWith(
  yaml: (tls: string, port: number) => string,
  mode = 0o600,
): Promise<{ port: number; tls: string }> {
  const [port = 0] = await freePorts(1);
  machine = new Machine('');
  const tls = join(machine.dir, 'tls');
  writeFileSync(machine.file, `name: vm\ntemplate: other\nprofiles: [headless]\nmemory: 64M\n${yaml(tls, port)}\n`);
  writeFileSync(join(machine.dir, 'secret'), `${SECRET}\nnot this\n`, { mode });
  const { exit, err } = await machine.ezvm('setup', 'tls', '--dir', tls, 'vm.example.org');
  expect(exit, err).toBe(0);
  return { port, tls };
}

async function ask(command: string): Promise<unknown> {
  return JSON.parse((await machine.ezvm('qmp', 'vm', command)).out);
}

/** The names in the certificate of what answers, by the rules that viewers go by. */
function certificateOf(port: number, ca: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca, servername: 'vm.example.org' }, () => {
      resolve(socket.getPeerCertificate().subjectaltname);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** Every place where a password could be seen. */
function places(pid: number | undefined): string[] {
  const logs = join(machine.dir, 'state', 'ezvm', 'vm');
  const run = join(machine.dir, 'run', 'ezvm', 'vm');
  const files = [logs, run].flatMap((dir) => readdirSync(dir).map((name) => join(dir, name)));
  return [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`, ...files.filter((file) => statSync(file).isFile())].filter(
    (file) => readFileSync(file, 'latin1').includes(SECRET),
  );
}

describe.skipIf(MISSING !== undefined)(`a screen on the network${MISSING ? ` (left out: no ${MISSING})` : ''}`, () => {
  it('of SPICE has TLS and a password that stands nowhere', async () => {
    const { port, tls } = await machineWith(
      (dir, number) => `spice: { type: network, addr: 127.0.0.1, port: ${number}, password-file: secret, tls: ${dir} }`,
    );
    await machine.start();
    expect(await ask('query-spice')).toMatchObject({ auth: 'spice', 'tls-port': port });
    expect(await ask('query-spice')).not.toHaveProperty('port');
    expect(await certificateOf(port, readFileSync(join(tls, 'ca-cert.pem'), 'utf8'))).toContain('vm.example.org');
    expect(places((await machine.status()).pid)).toEqual([]);
  });

  it('of VNC has TLS and a password that stands nowhere', async () => {
    const { port } = await machineWith(
      (dir, number) =>
        `vnc: { type: network, addr: 127.0.0.1, number: ${number - 5900}, password-file: secret, tls: ${dir} }`,
    );
    await machine.start();
    expect(await ask('query-vnc')).toMatchObject({
      auth: expect.stringMatching(/^vencrypt\+x509/),
      service: String(port),
    });
    expect(places((await machine.status()).pid)).toEqual([]);
  });

  it('is not shown with a password that others can read', async () => {
    await machineWith(
      (dir, number) => `spice: { type: network, addr: 127.0.0.1, port: ${number}, password-file: secret, tls: ${dir} }`,
      0o644,
    );
    await expect(machine.start()).rejects.toThrow(/others than you may read or change the password in .*secret/);
    expect((await machine.status()).condition).toBe('stopped');
  });

  it.each([
    ['spice: { type: tcp, addr: 0.0.0.0, port: 5901 }', 'write `type: network`, which wants a password and TLS'],
    ['spice: { type: network, port: 5901 }', 'password-file'],
    ['vnc: { type: network, number: 1, password-file: secret }', 'tls'],
    [
      'spice: { type: network, port: 5901, password-file: secret, tls: . }\ndisplay: looking-glass',
      'the Looking Glass client knows no password',
    ],
  ])('is refused without what keeps strangers out: %s', async (yaml, message) => {
    await machineWith(() => yaml);
    const { exit, err } = await machine.ezvm('check', 'vm.yaml');
    expect(exit).toBe(1);
    expect(err).toContain(message);
  });
});

describe.skipIf(MISSING !== undefined)(`setup tls${MISSING ? ` (left out: no ${MISSING})` : ''}`, () => {
  it('keeps its CA, and lets nobody else read the keys', async () => {
    const { tls } = await machineWith(() => '');
    const before = readFileSync(join(tls, 'ca-cert.pem'), 'utf8');
    const server = readFileSync(join(tls, 'server-cert.pem'), 'utf8');
    expect((await machine.ezvm('setup', 'tls', '--dir', tls, '10.1.2.3')).exit).toBe(0);
    expect(readFileSync(join(tls, 'ca-cert.pem'), 'utf8')).toBe(before);
    expect(readFileSync(join(tls, 'server-cert.pem'), 'utf8')).not.toBe(server);
    execFileSync('openssl', ['verify', '-CAfile', join(tls, 'ca-cert.pem'), join(tls, 'server-cert.pem')]);
    expect(readdirSync(tls).toSorted()).toEqual(['ca-cert.pem', 'ca-key.pem', 'server-cert.pem', 'server-key.pem']);
    for (const name of readdirSync(tls)) expect(statSync(join(tls, name)).mode & 0o077).toBe(0);
  });

  it('takes no name that would say something else in a certificate', async () => {
    machine = new Machine('');
    expect((await machine.ezvm('setup', 'tls', '--dir', join(machine.dir, 'tls'), 'a\nIP:1.2.3.4')).exit).toBe(2);
  });
});

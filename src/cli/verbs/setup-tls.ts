import { hostname, networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { EXIT, fault } from '../../core/diagnostic.ts';
import { makeCertificates } from '../../launch/certificates.ts';
import { dirsOf } from '../dirs.ts';
import type { Verb } from '../verb.ts';

export const verb: Verb = {
  usage: 'setup tls [NAME…]',
  summary:
    'Makes the certificates by which viewers elsewhere know this machine: a CA of your own, once, and one for the server.\nIts names are the host name and the addresses this machine has now, and those given.',
  example: 'ezvm setup tls pc.example.org',
  flags: { dir: { type: 'string', value: 'DIR', help: 'where; ~/.config/ezvm/tls unless given' } },
  words: [0, 20],
  async run(names, flags, context) {
    for (const name of names)
      if (!/^[A-Za-z0-9.:-]+$/.test(name))
        throw fault(EXIT.usage, 'name-refused', `${JSON.stringify(name)} is neither a host's name nor an address`);
    const dir = typeof flags['dir'] === 'string' ? resolve(context.cwd, flags['dir']) : `${dirsOf(context).config}/tls`;
    const isNew = makeCertificates(dir, [...new Set([...names, ...ownNames()])]);
    context.out(`${dir}\n`);
    context.err(
      `in the VM file: spice: { type: network, port: 5901, password-file: FILE, tls: ${dir} }\n${
        isNew ? `give ${dir}/ca-cert.pem to those who look from elsewhere, and ca-key.pem to nobody\n` : ''
      }they connect with: remote-viewer --spice-ca-file=ca-cert.pem 'spice://${hostname()}?tls-port=5901'\n`,
    );
    return EXIT.ok;
  },
};

function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  // An address that holds on one link only is of no use to others, and names the interface.
  const useful = addresses.map(({ address }) => address).filter((address) => !address.startsWith('fe80:'));
  return [hostname(), 'localhost', ...useful];
}

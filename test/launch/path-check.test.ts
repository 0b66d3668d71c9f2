import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkPath } from '../../src/launch/path-check.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';
import { type Lab, makeLab } from './plan-builder.ts';

const SERVER = ['ca-cert.pem', 'server-cert.pem', 'server-key.pem'];

let lab: Lab;
let tls: string;
beforeEach(() => {
  lab = makeLab();
  tls = join(lab.dir, 'tls');
});
afterEach(() => lab.sweep());

/** What there is to say of the directory of certificates that a section names. */
function told(section: string): (string | undefined)[] {
  const { requirements } = planOf(`template: other\ndisplay: none\n${section}\n`, CATALOG, hostFacts('laptop'));
  const found = requirements.filter((one) => one.kind === 'path' && one.path === tls);
  expect(found).toHaveLength(1);
  return found.map((one) => {
    const fault = one.kind === 'path' ? checkPath(one) : undefined;
    return fault && `${fault.origin?.line}: ${fault.message}; ${fault.help}`;
  });
}

describe('a directory of certificates', () => {
  it.each([
    ['spice: { type: network, port: 5901, password-file: /etc/hostname, tls: TLS }', SERVER, 'ezvm setup tls'],
    ['vnc: { type: network, number: 1, password-file: /etc/hostname, tls: TLS }', SERVER, 'ezvm setup tls'],
    [
      'disks: [{ type: nbd-tcp, host: disks.example, tls: TLS }]',
      ['ca-cert.pem'],
      'the authority that vouches for the server',
    ],
  ])('that lacks one is told with what to do: %s', (section, files, help) => {
    const yaml = section.replace('TLS', tls);
    expect(told(yaml)).toEqual([expect.stringContaining(`directory ${tls} does not exist`)]);
    mkdirSync(tls);
    for (const name of files) {
      const [said] = told(yaml);
      expect(said).toContain(`3: file ${join(tls, name)} does not exist`);
      expect(said).toContain(help);
      writeFileSync(join(tls, name), '');
    }
    expect(told(yaml)).toEqual([undefined]);
    rmSync(join(tls, 'ca-cert.pem'));
    mkdirSync(join(tls, 'ca-cert.pem'));
    expect(told(yaml)).toEqual([expect.stringContaining('is a directory; wanted is a file')]);
  });
});

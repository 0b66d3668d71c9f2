import { describe, expect, it } from 'vitest';
import type { Sidecar } from '../../src/plan/plan.ts';
import { CATALOG } from '../one-device.ts';
import { hostFacts, planOf } from '../planned.ts';

function plan(yaml: string): ReturnType<typeof planOf> {
  return planOf(`template: none\nname: vm\n${yaml}\n`, CATALOG, hostFacts('laptop'));
}

function viewer(yaml: string): Sidecar | undefined {
  return plan(yaml).sidecars.find(({ name }) => name === 'viewer');
}

const LOCKED = 'password-file: /secret, tls: /tls';

describe('the viewer of a screen that is on the network', () => {
  it('of SPICE finds it on this machine, by its authority and its password', () => {
    const { argv, needs, logins } =
      viewer(`display: spice\nspice: { type: network, port: 5901, ${LOCKED} }`) ?? ({} as Sidecar);
    expect(needs).toEqual({ host: '127.0.0.1', port: 5901 });
    expect(argv?.at(-1)).toMatch(/\/vm\/viewer\.vv$/);
    expect(logins).toEqual([
      {
        path: argv?.at(-1),
        entries: { type: 'spice', host: '127.0.0.1', 'tls-port': '5901' },
        ca: '/tls/ca-cert.pem',
        password: expect.objectContaining({ file: '/secret' }),
      },
    ]);
  });

  it('of VNC does, too', () => {
    const { argv, logins } =
      viewer(`display: { type: vnc, open: on }\nvnc: { type: network, number: 3, addr: "0.0.0.0", ${LOCKED} }`) ??
      ({} as Sidecar);
    expect(argv?.slice(-4)).toEqual([
      '-X509CA=/tls/ca-cert.pem',
      '-passwd',
      expect.stringMatching(/\/vm\/viewer\.passwd$/),
      '127.0.0.1::5903',
    ]);
    expect(logins).toMatchObject([{ path: argv?.at(-2) }]);
  });

  it('gets no file where no password is asked for', () => {
    expect(viewer('display: spice\nspice: { type: tcp, port: 5901 }')?.logins).toBeUndefined();
    expect(viewer('display: spice')?.logins).toBeUndefined();
  });
});

describe('a viewer that cannot do what is asked of it', () => {
  it.each([
    ['display: { type: vnc, open: on, viewer: remote-viewer }', 'no viewer can do all that display asks for'],
    [
      'display: { type: spice, viewer: spicy }\nspice: { type: tcp, port: 5901, password-file: /secret }',
      'no viewer can do all that display asks for',
    ],
    ['display: { type: spice, viewer: virt-viewer }', 'display.viewer is "virt-viewer"'],
    [`display: looking-glass\nspice: { type: network, port: 5901, ${LOCKED} }`, 'client knows no password'],
    ['display: { type: looking-glass, resolution: wide }', 'display.resolution is "wide"'],
  ])('is refused: %s', (yaml, message) => expect(() => plan(yaml)).toThrow(message));
});

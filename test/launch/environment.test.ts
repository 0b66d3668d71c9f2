import { describe, expect, it } from 'vitest';
import { childEnvironment } from '../../src/launch/environment.ts';

describe('the environment of a child', () => {
  it('has what is needed and nothing that loads code or tells secrets', () => {
    const own = {
      HOME: '/home/a',
      LANG: 'de_DE.UTF-8',
      LC_ALL: 'C',
      XDG_RUNTIME_DIR: '/run/user/1',
      PATH: '/tmp/evil',
      NODE_OPTIONS: '--require x',
      LD_PRELOAD: 'x.so',
      GTK_MODULES: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      DISPLAY: ':9',
    };
    const { PATH, ...rest } = childEnvironment(own, { DISPLAY: ':1' });
    expect(PATH).toMatch(/^(\/usr)?(\/local)?\/bin:/);
    expect(rest).toEqual({
      HOME: '/home/a',
      LANG: 'de_DE.UTF-8',
      LC_ALL: 'C',
      XDG_RUNTIME_DIR: '/run/user/1',
      DISPLAY: ':1',
      DBUS_SESSION_BUS_ADDRESS: 'disabled:',
    });
  });

  it('takes the bus of the session when there is one', () => {
    const { DBUS_SESSION_BUS_ADDRESS } = childEnvironment({}, { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/bus' });
    expect(DBUS_SESSION_BUS_ADDRESS).toBe('unix:path=/bus');
  });
});

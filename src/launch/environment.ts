/** Variables that programs need for their text, times and files; none of them can load code. */
const KEPT = /^(HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|XDG_[A-Z_]+)$/;

/**
 * The environment of QEMU and its sidecars: a fixed PATH, what of ezvm's own environment is harmless, and the variables of
 * the graphical session for those that open windows.
 */
export function childEnvironment(
  own: NodeJS.ProcessEnv,
  session: { readonly [variable: string]: string },
): { [variable: string]: string } {
  const environment: { [variable: string]: string } = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' };
  if (process.geteuid?.() === 0) environment['PATH'] = '/usr/bin:/bin:/usr/sbin:/sbin';
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && KEPT.test(name)) environment[name] = value;
  }
  // Without an address GLib starts a bus by itself, and QEMU's sandbox kills the process that forks.
  return { ...environment, DBUS_SESSION_BUS_ADDRESS: 'disabled:', ...session };
}

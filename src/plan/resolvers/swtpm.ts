import { type PlanContext, type PlannedDevice, param, type Resolved } from '../device.ts';

/** Needs code because swtpm splits its options at commas and knows no escape, and a new TPM is made by another program. */
export function resolveSwtpm(device: PlannedDevice, context: PlanContext): Resolved {
  const { stateDir, refuse } = context;
  const state = param<string>(device, 'state');
  for (const name of ['state', 'key'])
    if (param<string>(device, name)?.includes(','))
      refuse({
        code: 'combination-refused',
        message: `tpm.${name} is ${JSON.stringify(param(device, name))}, and swtpm takes no comma in a path`,
        help: 'rename the file, or make a link to it',
        origin: device.params[name]?.origin ?? device.origin,
      });
  if (param<string>(device, 'version') === '1.2' && param<string>(device, 'model') === 'tpm-crb')
    refuse({
      code: 'setting-useless',
      message: 'tpm.model is tpm-crb, which a TPM 1.2 has not got: QEMU takes it, and no guest finds it',
      help: 'write `tpm: { version: "1.2", model: tpm-tis }`',
      origin: device.params['version']?.origin ?? device.origin,
    });
  // No mode: a device that holds the state keeps the one it has.
  if (state !== null) return { values: { state: `backend-uri=file://${state}` } };
  manufacture(device, context);
  return { values: { state: `dir=${stateDir}/tpm,mode=0600` } };
}

/** Has a TPM made that is certified by an authority of the user's own, as that of a real machine is by its maker. */
function manufacture(device: PlannedDevice, { facts, stateDir, step }: PlanContext): void {
  const program = facts.programs['swtpm_setup'];
  if (program === undefined || !param<boolean>(device, 'certificates') || param<string>(device, 'version') !== '2.0')
    return;
  // A name that no VM can have.
  const authority = `${facts.dirs.state}/.tpm-authority`;
  const fresh = `${stateDir}/tpm/new`;
  const key = param<string>(device, 'key');
  const common = { do: 'run', environment: { XDG_CONFIG_HOME: authority }, origin: device.origin } as const;
  const help = 'write `tpm: { certificates: off }` to do without them';
  for (const path of [authority, fresh]) step({ do: 'mkdir', path, mode: 0o700, keep: true });
  step({
    ...common,
    name: 'swtpm_setup',
    argv: [program, '--create-config-files', facts.user.uid === 0 ? 'overwrite,root' : 'overwrite'],
    makes: { from: `${authority}/swtpm_setup.conf`, to: `${authority}/swtpm_setup.conf` },
    help,
  });
  step({
    ...common,
    name: 'swtpm_setup',
    argv: [
      program,
      '--tpm2',
      '--tpmstate',
      `dir://${fresh}`,
      '--create-ek-cert',
      '--create-platform-cert',
      '--lock-nvram',
      ...(key === null ? [] : ['--pwdfile', key, '--cipher', 'aes-256-cbc']),
    ],
    makes: { from: `${fresh}/tpm2-00.permall`, to: `${stateDir}/tpm/tpm2-00.permall` },
    help,
  });
}

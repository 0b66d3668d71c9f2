import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import type { RunOnce } from '../plan.ts';

/** Needs code because swtpm splits its options at commas and knows no escape, and a new TPM is made by another program. */
export function resolveSwtpm(device: PlannedDevice, context: PlanContext): Resolved {
  const { stateDir, refuse, facts, note, require } = context;
  const state = param<string>(device, 'state');
  for (const name of ['state', 'key'])
    if (param<string>(device, name)?.includes(','))
      refuse({
        code: 'combination-refused',
        message: `tpm.${name} is ${JSON.stringify(param(device, name))}, and swtpm takes no comma in a path`,
        help: 'rename the file, or make a link to it',
        origin: saidAt(device, name),
      });
  if (param<string>(device, 'version') === '1.2' && param<string>(device, 'model') === 'tpm-crb')
    refuse({
      code: 'setting-useless',
      message: 'tpm.model is tpm-crb, which a TPM 1.2 has not got: QEMU takes it, and no guest finds it',
      help: 'write `tpm: { version: "1.2", model: tpm-tis }`',
      origin: saidAt(device, 'version'),
    });
  const kind = state === null ? 'directory' : (facts.paths[state]?.kind ?? 'missing');
  if (kind === 'missing')
    note({
      severity: 'note',
      code: 'tpm-new',
      message: `${state} does not exist; the first start makes a new TPM in it`,
      origin: saidAt(device, 'state'),
    });
  const home = state ?? `${stateDir}/tpm`;
  if (kind === 'directory')
    require({
      kind: 'tpm-version',
      path: home,
      version: param<string>(device, 'version') ?? '',
      origin: saidAt(device, 'version'),
    });
  manufacture(device, placeOf(home, kind), context);
  // No mode: a device that holds the state keeps the one it has.
  const words = kind === 'directory' ? `dir=${home},mode=0600` : `backend-uri=file://${home}`;
  return { values: { state: words, claim: home } };
}

/** Where swtpm_setup makes a TPM, as its own option names it; a device is written in its place. */
function placeOf(home: string, kind: string): Pick<RunOnce, 'folder' | 'makes'> & { readonly uri: string } {
  if (kind === 'block') return { uri: `file://${home}`, makes: { from: home, to: home } };
  if (kind !== 'directory') return { uri: `file://${home}.new`, makes: { from: `${home}.new`, to: home } };
  const folder = `${home}/.new-tpm`;
  const name = 'tpm2-00.permall';
  return { uri: `dir://${folder}`, folder, makes: { from: `${folder}/${name}`, to: `${home}/${name}` } };
}

/** Has a TPM made that is certified by an authority of the user's own, as that of a real machine is by its maker. */
function manufacture(
  device: PlannedDevice,
  { uri, ...place }: ReturnType<typeof placeOf>,
  { facts, step }: PlanContext,
): void {
  const program = facts.programs['swtpm_setup'];
  if (program === undefined || !param<boolean>(device, 'certificates') || param<string>(device, 'version') !== '2.0')
    return;
  // A name that no VM can have.
  const authority = `${facts.dirs.state}/.tpm-authority`;
  const key = param<string>(device, 'key');
  const common = { do: 'run', environment: { XDG_CONFIG_HOME: authority }, origin: device.origin } as const;
  const help = 'write `tpm: { certificates: off }` to do without them';
  step({ do: 'mkdir', path: authority, mode: 0o700, keep: true });
  step({
    ...common,
    name: 'swtpm_setup',
    argv: [program, '--create-config-files', facts.user.uid === 0 ? 'overwrite,root' : 'overwrite'],
    makes: { from: `${authority}/swtpm_setup.conf`, to: `${authority}/swtpm_setup.conf` },
    help,
  });
  step({
    ...common,
    ...place,
    name: 'swtpm_setup',
    argv: [
      program,
      '--tpm2',
      '--tpmstate',
      uri,
      '--create-ek-cert',
      '--create-platform-cert',
      '--lock-nvram',
      ...(key === null ? [] : ['--pwdfile', key, '--cipher', 'aes-256-cbc']),
    ],
    help,
  });
}

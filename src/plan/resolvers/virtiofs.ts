import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';

/** More users than there are, so that none is left out. */
const EVERYBODY = 4_294_967_295;

/** Needs code because there are two programs of the name virtiofsd, whose options differ and have grown. */
export function resolveVirtiofs(device: PlannedDevice, context: PlanContext): Resolved {
  const { facts, runDir } = context;
  // Where nobody looked, as for a host of which there are facts only, it is taken to be a new one.
  const { path, options, fault } = facts.virtiofsd ?? {};
  const knows = (option: string): boolean => fault !== undefined || (options?.includes(option) ?? true);
  // The old one gives up its groups before it reads its arguments.
  if (fault?.startsWith('setgroups()')) isForRoot(device, context);
  else if (fault !== undefined)
    context.require({
      kind: 'unmet',
      code: 'virtiofsd-broken',
      message: `${device.id}: ${path} --help does not tell what it can do: ${fault}`,
      help: 'use `type: virtio-9p`, which needs no program, or mend virtiofsd',
      origin: device.origin,
    });
  const shared = knows('--shared-dir') ? newWords(device, context, knows) : oldWords(device, context);
  return {
    values: {
      socket: `${runDir}/${device.id}.sock`,
      tag: param<string>(device, 'tag') ?? device.id,
      words: [`--socket-path=${runDir}/${device.id}.sock`, ...shared],
    },
  };
}

/** The one in Rust, of its own project. */
function newWords(device: PlannedDevice, context: PlanContext, knows: (option: string) => boolean): string[] {
  const { uid, gid } = context.facts.user;
  const owner = param<number>(device, 'owner');
  if (param(device, 'read-only') === true && !knows('--readonly')) lacks(device, context, 'read-only');
  const translates = knows('--translate-uid');
  if (owner !== null && !translates) lacks(device, context, 'owner');
  // An ordinary user can make files for nobody else, so all that guests make is made the user's own.
  const squashed = translates && (uid !== 0 || owner !== null);
  const translation = (kind: 'uid' | 'gid', own: number): string[] => [
    `--translate-${kind}=squash-guest:0:${own}:${EVERYBODY}`,
    ...(owner === null ? [] : [`--translate-${kind}=host:${own}:${owner}:1`]),
  ];
  return [
    `--shared-dir=${param<string>(device, 'path')}`,
    `--sandbox=${param<string>(device, 'sandbox')}`,
    `--cache=${param<string>(device, 'cache')}`,
    ...(param(device, 'xattr') === true ? ['--xattr'] : []),
    ...(param(device, 'read-only') === true ? ['--readonly'] : []),
    // For handles it wants to get at files whatever the folders above them say; newer ones try to have them unasked.
    ...(uid === 0 && knows('--inode-file-handles') ? ['--inode-file-handles=never'] : []),
    ...(squashed ? [...translation('uid', uid), ...translation('gid', gid)] : []),
  ];
}

/** The one in C that came with QEMU before 8.0. */
function oldWords(device: PlannedDevice, context: PlanContext): string[] {
  if (param(device, 'read-only') === true) lacks(device, context, 'read-only');
  if (param(device, 'owner') !== null) lacks(device, context, 'owner');
  if (param(device, 'sandbox') === 'none') lacks(device, context, 'sandbox');
  if (context.facts.user.uid !== 0) isForRoot(device, context);
  // Its options are separated by commas, with a backslash before those that are none.
  const source = (param<string>(device, 'path') ?? '').replace(/[\\,]/g, (character) => `\\${character}`);
  const cache = param<string>(device, 'cache');
  const options = [
    `source=${source}`,
    `sandbox=${param<string>(device, 'sandbox')}`,
    `cache=${cache === 'never' ? 'none' : cache}`,
    param(device, 'xattr') === true ? 'xattr' : 'no_xattr',
  ];
  return ['-f', '-o', options.join(',')];
}

function isForRoot(device: PlannedDevice, { facts, require }: PlanContext): void {
  require({
    kind: 'unmet',
    code: 'virtiofsd-old',
    message: `${device.id}: ${facts.virtiofsd?.path} shares folders for root only`,
    help: 'use `type: virtio-9p`, or install the virtiofsd that is written in Rust',
    origin: device.origin,
  });
}

function lacks(device: PlannedDevice, { facts, require }: PlanContext, name: string): void {
  require({
    kind: 'unmet',
    code: 'virtiofsd-old',
    message: `${device.id}: ${facts.virtiofsd?.path} is too old for \`${name}\``,
    help: `use \`type: virtio-9p\`${name === 'read-only' ? '' : `, leave out \`${name}\``}, or install a newer virtiofsd`,
    origin: saidAt(device, name),
  });
}

import type { BoardSpec } from '../../catalog/template.ts';
import { ASSUMED_VERSION, compareVersions, formatVersion, parseVersion } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { countProcessors } from '../processors.ts';

/** The whole name of a board's newest version, such as pc-q35-10.0, also where no QEMU is there to say. */
export function newestOf({ name, family }: BoardSpec, { facts }: Pick<PlanContext, 'facts'>): string {
  const { major, minor } = ASSUMED_VERSION;
  return facts.qemu?.machines[name] ?? (family === undefined ? name : `${family}-${major}.${minor}`);
}

/** Needs code because the versions that a board has are told by QEMU, and ARM's interrupt controller by counting processors. */
export function resolveMachine(device: PlannedDevice, context: PlanContext): Resolved {
  const { qemu } = context.facts;
  const version = param<string>(device, 'version');
  const board = device.template.board as BoardSpec;
  // `q35` stands for the newest of its kind, such as pc-q35-9.2; the others differ in the number at the end.
  const type = version === null ? board.name : newestOf(board, context).replace(/-[\d.]+$/, () => `-${version}`);
  const firmware = ['bios', 'flash'].some((one) => board.has.includes(one));
  const boot = context.devices.find(({ section }) => section === 'boot');
  if (!firmware && (!boot || param(boot, 'kernel') === null))
    context.note({
      severity: 'warning',
      code: 'kernel-missing',
      message: `the board ${device.template.type} starts nothing but a kernel that it is given, and boot.kernel names none`,
      origin: device.origin,
      help: 'write `boot: { kernel: vmlinuz, append: "root=/dev/vda" }`',
    });
  const wanted = parseVersion(version ?? '');
  if (qemu && qemu.arch !== board.arch)
    context.require({
      kind: 'unmet',
      code: 'arch-differs',
      message: `the board ${device.template.type} is made of ${board.arch} processors, and ${qemu.binary} emulates ${qemu.arch}`,
      origin: device.origin,
      help: `install qemu-system-${board.arch}, or choose another board with \`machine:\``,
    });
  else if (qemu && wanted && compareVersions({ ...context.version, micro: 0 }, wanted) < 0)
    context.requireNewer(
      device.id,
      `${device.id}: ${type} needs QEMU ${version} or newer; this is ${formatVersion(context.version)}`,
      saidAt(device, 'version'),
    );
  else if (qemu && !Object.hasOwn(qemu.machines, type) && !Object.values(qemu.machines).includes(type))
    context.require({
      kind: 'unmet',
      code: 'machine-unknown',
      message: `this QEMU has no machine ${type}`,
      origin: saidAt(device, 'version'),
      help: 'leave out `machine.version` to get its newest',
    });
  return { values: { type, 'gic-version': gicVersion(device, context) } };
}

/** Of ARM's boards: the oldest interrupt controller, which QEMU may choose by itself, serves eight processors. */
function gicVersion(device: PlannedDevice, { devices }: PlanContext): string | null {
  const cpu = devices.find(({ section }) => section === 'cpu');
  const many = cpu !== undefined && countProcessors(cpu) > 8;
  return param<string>(device, 'gic-version') ?? (many ? 'max' : null);
}

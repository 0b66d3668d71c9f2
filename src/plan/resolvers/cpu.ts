import { compareVersions, type QemuProps } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { countProcessors } from '../processors.ts';
import { checkEnlightenments } from './hyperv.ts';
import { newestOf } from './machine.ts';

/** TCG knew no x2APIC before QEMU 9.0, and without it a PC numbers its processors in eight bits. */
const MOST_UNDER_TCG = 255;
const X2APIC_UNDER_TCG = { major: 9, minor: 0, micro: 0 };

/**
 * Needs code because the model depends on the accelerator, flags are property names, and processors are counted by
 * multiplication; templates can do none of these.
 */
export function resolveCpu(device: PlannedDevice, context: PlanContext): Resolved {
  const all = countProcessors(device);
  const present = param<number>(device, 'present');
  checkCount(device, all, context);
  if (present !== null && present > all)
    context.refuse({
      code: 'combination-refused',
      message: `cpu.present is ${present}, and there are ${all} processors in all`,
      origin: saidAt(device, 'present'),
      help: 'give more cores, sockets or threads, or leave it out',
    });
  const args = {
    ...model(device, context),
    ...topology(device, context),
    ...enlightenments(device, context),
    ...flags(device),
  };
  return {
    values: { cpus: present ?? all, maxcpus: present === null ? null : all },
    options: Object.keys(args).length > 0 ? [{ name: 'cpu', args, origin: device.origin }] : [],
  };
}

/** More processors than the board or the accelerator takes, and more than the host has. */
function checkCount(
  device: PlannedDevice,
  count: number,
  { facts, board, accel, version, ...context }: PlanContext,
): void {
  const origin = saidAt(device, 'cores');
  const machine = board && newestOf(board, { facts });
  const onBoard = machine === undefined ? undefined : facts.qemu?.maxCpus?.[machine];
  const underTcg =
    accel === 'tcg' && board?.arch === 'x86_64' && compareVersions(version, X2APIC_UNDER_TCG) < 0
      ? MOST_UNDER_TCG
      : undefined;
  const most = Math.min(onBoard ?? Infinity, underTcg ?? Infinity);
  if (count > most)
    context.require({
      kind: 'unmet',
      code: 'cpus-many',
      message: `the VM has ${count} processors; ${most === underTcg ? 'without KVM this QEMU' : `the board ${machine}`} takes ${most} at most`,
      origin,
      help: 'processors are sockets × cores × threads; give fewer of one',
    });
  else if (count > facts.cpus)
    context.note({
      severity: 'warning',
      code: 'cpus-short',
      message: `the VM has ${count} processors, and the host ${facts.cpus}: they will wait for each other`,
      origin,
      help: `give it ${facts.cpus} at most`,
    });
}

/** The baselines of a fleet have no such parameter; their templates say what they are. */
function model(device: PlannedDevice, { accel, note }: PlanContext): QemuProps {
  if (!Object.hasOwn(device.params, 'model')) return {};
  const given = param<string>(device, 'model') ?? 'auto';
  if (given === 'auto') return { model: accel === 'tcg' ? 'max' : 'host' };
  if (given !== 'host' || accel !== 'tcg') return { model: given };
  note({
    severity: 'warning',
    code: 'cpu-host-refused',
    message: 'cpu.model is host, which needs KVM; max is used instead',
    origin: saidAt(device, 'model'),
  });
  return { model: 'max' };
}

/** AMD's processors tell a guest of their threads only so; other models by name have it where they had it in reality. */
function topology(device: PlannedDevice, { accel, facts }: PlanContext): QemuProps {
  const isNamed = !['auto', 'host', null].includes(param<string>(device, 'model'));
  const threads = param<number>(device, 'threads') ?? 1;
  return !isNamed && threads > 1 && accel === 'kvm' && facts.cpuVendor === 'AuthenticAMD' ? { topoext: true } : {};
}

/** TCG accepts `hv-` flags only to ignore them, with a warning for each; the guest would not see them. */
function enlightenments(device: PlannedDevice, context: PlanContext): QemuProps {
  const names = checkEnlightenments(device, context);
  const vendor = param<string>(device, 'hyperv-vendor');
  const hidden = param<boolean>(device, 'hidden') === true;
  if (context.accel !== 'kvm' || context.board?.arch === 'aarch64') {
    const asked = names.length > 0 ? 'hyperv' : vendor !== null ? 'hyperv-vendor' : 'hidden';
    if (names.length > 0 || vendor !== null || hidden)
      context.note({
        severity: 'note',
        code: 'hyperv-left-out',
        message: 'Hyper-V enlightenments need KVM on a PC and are left out',
        origin: saidAt(device, asked),
      });
    return {};
  }
  return {
    ...Object.fromEntries(names.map((name) => flag(`hv-${name}`))),
    ...(vendor !== null && { 'hv-vendor-id': vendor }),
    ...(hidden && { kvm: false }),
  };
}

function flags(device: PlannedDevice): QemuProps {
  return Object.fromEntries((param<readonly string[]>(device, 'flags') ?? []).map(flag));
}

/** `+aes`, `-svm`, `enforce`, `vendor=GenuineIntel` */
function flag(text: string): [string, string | boolean] {
  const [name = '', value] = text.split(/=(.*)/s);
  if (value === 'on' || value === 'off') return [name, value === 'on'];
  if (value !== undefined) return [name, value];
  return name.startsWith('-') ? [name.slice(1), false] : [name.replace(/^\+/, ''), true];
}

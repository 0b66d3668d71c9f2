import type { Catalog } from '../catalog/catalog.ts';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { Origin } from '../core/origin.ts';
import type { HostFacts } from '../host/facts.ts';
import type { VmSpec } from '../model/spec.ts';
import { ASSUMED_VERSION, propsOf, type QemuOption } from '../qemu/option.ts';
import { renderOptions } from '../qemu/render.ts';
import { chooseAccelerator } from './accelerator.ts';
import { assignAddresses } from './address.ts';
import { findClashes } from './clashes.ts';
import { applyOverrides, mergeSingletons, targetOf } from './combine.ts';
import { addDescriptor, handOver, type WantedDescriptor } from './descriptors.ts';
import type { PlanContext } from './device.ts';
import { refuseDirectories } from './directories.ts';
import { emitDevice } from './emit-device.ts';
import { namesOf } from './expand.ts';
import { gatherDevices } from './gather.ts';
import { vfioRequirements } from './handed.ts';
import { helperWords, leaveToHelper, planGivingBack, planHelper, tellOfHelper } from './helper.ts';
import { findBrokenPages, findNodeFaults, findPlugFaults, hugePageRequirements } from './memory.ts';
import { warnOfMinimum } from './minimum.ts';
import { findPortClashes, linkRequirements, networkRequirements } from './network.ts';
import { passwordsOf } from './passwords.ts';
import type { Plan, Requirement, Step } from './plan.ts';
import type { Descriptor } from './planned-qemu.ts';
import { confineQemu, confineSidecar } from './privileges.ts';
import {
  buildRequirements,
  glRequirements,
  pathRequirements,
  portRequirements,
  renderRequirements,
  sessionRequirements,
} from './requirements.ts';
import { findRouterFaults } from './router.ts';
import { chooseSandbox, findRelaxations } from './sandbox.ts';

/**
 * Turns a spec into a plan for the host that `facts` describes: pure, so the same input gives the same plan anywhere.
 * @returns the plan, and the faults of the configuration that show only here; what the host lacks is in its requirements
 */
export function assemble(spec: VmSpec, catalog: Catalog, facts: HostFacts): { plan: Plan; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const notes: Diagnostic[] = [];
  const requirements: Requirement[] = [];
  const steps: Step[] = [];
  const outdated: { id: string; message: string; origin: Origin | undefined }[] = [];
  const descriptors: Descriptor[] = [];
  const runDir = `${facts.dirs.run}/${spec.name}`;
  const stateDir = `${facts.dirs.state}/${spec.name}`;
  const hooks = {
    note: (note: Diagnostic) => notes.push(note),
    require: (requirement: Requirement) => requirements.push(requirement),
    requireNewer: (id: string, message: string, origin: Origin | undefined) => outdated.push({ id, message, origin }),
    step: (step: Step) => steps.push(step),
    open: (wanted: WantedDescriptor) => addDescriptor(descriptors, wanted),
    refuse: (fault: Omit<Diagnostic, 'severity'>) => diagnostics.push({ severity: 'error', ...fault }),
  };
  const report = (diagnostic: Diagnostic): unknown => diagnostics.push(diagnostic);
  refuseDirectories([runDir, stateDir], report);

  const start: PlanContext = {
    spec,
    facts,
    version: facts.qemu?.version ?? ASSUMED_VERSION,
    accel: chooseAccelerator(spec, facts, hooks),
    board: spec.devices.find(({ section }) => section === 'machine')?.template.board,
    defaultsFile: catalog.defaults()?.file,
    runDir,
    stateDir,
    devices: [],
    ...hooks,
  };
  const gathered = gatherDevices(catalog, start);
  const machine = gathered.find((device) => device.section === 'machine')?.template;
  const { devices, bridges } = assignAddresses(gathered, machine, start, (device, message, help) =>
    report({
      severity: 'error',
      code: 'address-refused',
      message: `${device.id}: ${message}`,
      help,
      origin: device.origin,
    }),
  );
  const context: PlanContext = { ...start, devices };

  const emitted = devices.map((device) => ({ ...emitDevice(device, context), id: device.id }));
  // Bridges sit on what the board brings along, and devices sit on them.
  const first = devices[0]?.section === 'machine' ? 1 : 0;
  const optionsOf = (some: typeof emitted): QemuOption[] => some.flatMap(({ options }) => options);
  const deviceOptions = withDisplay([
    ...optionsOf(emitted.slice(0, first)),
    ...bridges,
    ...optionsOf(emitted.slice(first)),
  ]);
  const sandbox = chooseSandbox(deviceOptions, spec.qemu.args, facts);
  const own = [...baseOptions(context), ...sandbox, ...deviceOptions];
  const options = applyOverrides(mergeSingletons(own, report), spec.qemu, report);
  findClashes(options, devices, facts.paths, report);
  findNodeFaults(options, report);
  findPlugFaults(devices, report);
  findBrokenPages(options, devices, report);
  warnOfMinimum(context);
  const newer = outdated.map(({ id, message, origin }) => ({
    kind: 'unmet' as const,
    code: 'qemu-too-old',
    message,
    help: 'install a newer QEMU, or choose something else',
    targets: emitted.flatMap((one) => (one.id === id ? one.options.map(targetOf) : [])),
    origin,
  }));
  const told = newer.flatMap(({ targets }) => targets);
  requirements.push(
    ...newer,
    ...programRequirement(context),
    ...devices.flatMap((device) => pathRequirements(device, namesOf(device, {}, context), steps)),
    ...devices.flatMap((device) => linkRequirements(device, facts)),
    ...portRequirements(options),
    ...networkRequirements(options, facts),
    ...glRequirements(options),
    ...renderRequirements(options, facts),
    ...hugePageRequirements(options),
    ...sessionRequirements(options),
    ...vfioRequirements(options, requirements),
    ...buildRequirements(
      options.filter((option) => !told.includes(targetOf(option))),
      facts,
    ),
  );
  findPortClashes(requirements, report);
  findRouterFaults(devices, report);
  const handed = handOver(options, descriptors);
  const relaxed = findRelaxations(options, spec.qemu.args, facts);
  const opened = leaveToHelper(handed.descriptors, relaxed, facts);
  const helper = planHelper(spec.name, opened, requirements, relaxed, facts);
  const binary = facts.qemu?.binary ?? `qemu-system-${archOf(context)}`;
  const plan: Plan = {
    format: 1,
    vm: {
      name: spec.name,
      uuid: spec.uuid,
      ...(spec.description !== undefined && { description: spec.description }),
      file: spec.file,
      runDir,
      stateDir,
      qmpSocket: `${runDir}/qmp.sock`,
      monitorSocket: `${runDir}/monitor.sock`,
    },
    user: facts.user,
    qemu: {
      options,
      argv: [binary, ...renderOptions(handed.options, 'json', context.version)],
      descriptors: opened,
      wrapper: helper ? helperWords(helper) : confineQemu(relaxed, facts),
      ...(helper && { helper }),
      passwords: passwordsOf(devices),
      relaxed,
    },
    sidecars: [
      ...emitted.flatMap(({ sidecars }) =>
        sidecars.map((sidecar) => ({ ...sidecar, wrapper: confineSidecar(sidecar, options, facts) })),
      ),
      ...planGivingBack(helper),
    ],
    guest: emitted.flatMap(({ guest }) => guest),
    requirements: tellOfHelper(requirements, relaxed, facts),
    steps,
    stopTimeout: spec.stopTimeout,
    notes,
  };
  return { plan, diagnostics };
}

/** Without a word QEMU opens a window; no screen at all gives way to one that is drawn and not shown, as SPICE wants it. */
function withDisplay(options: readonly QemuOption[]): QemuOption[] {
  const none: QemuOption = { name: 'display', args: { type: 'none' } };
  const isNone = (option: QemuOption): boolean => option.name === 'display' && propsOf(option)['type'] === 'none';
  if (!options.some(({ name }) => name === 'display')) return [...options, none];
  const shows = options.some((option) => option.name === 'display' && !isNone(option));
  return shows ? options.filter((option) => !isNone(option)) : [...options];
}

/** What every VM gets: its name, no surprises from QEMU's own defaults, and the sockets for administration. */
function baseOptions({ spec, runDir }: PlanContext): QemuOption[] {
  return [
    { name: 'name', args: { guest: spec.name, 'debug-threads': true } },
    { name: 'uuid', args: spec.uuid },
    { name: 'no-user-config', args: true },
    { name: 'nodefaults', args: true },
    { name: 'chardev', args: { backend: 'socket', id: 'qmp', path: `${runDir}/qmp.sock`, server: true, wait: false } },
    // From 11.1 on QEMU complains of -mon.
    { name: 'qmp', args: 'chardev:qmp' },
    {
      name: 'chardev',
      args: { backend: 'socket', id: 'monitor', path: `${runDir}/monitor.sock`, server: true, wait: false },
    },
    { name: 'monitor', args: 'chardev:monitor' },
  ];
}

function archOf({ board, facts }: PlanContext): string {
  return board?.arch ?? facts.arch;
}

/** What brings QEMU for an architecture, in the words of Debian and Ubuntu, Fedora, and Arch. */
const PACKAGES: Readonly<Record<string, string>> = {
  x86_64: 'qemu-system-x86 (Debian, Ubuntu), qemu-kvm (Fedora) or qemu-base (Arch)',
  aarch64: 'qemu-system-arm (Debian, Ubuntu), qemu-system-aarch64-core (Fedora) or qemu-system-aarch64 (Arch)',
};

function programRequirement(context: PlanContext): Requirement[] {
  if (context.facts.qemu) return [];
  const program = `qemu-system-${archOf(context)}`;
  return [{ kind: 'program', program, help: `install the package ${PACKAGES[archOf(context)] ?? program}` }];
}

import type { PciFacts } from '../../host/facts.ts';
import type { QemuOption } from '../../qemu/option.ts';
import { type PlanContext, type PlannedDevice, param, type Resolved, saidAt } from '../device.ts';
import { chooseFunctions, type PciChoice } from '../pci-choice.ts';

/** More candidates than these are left to lspci. */
const SHOWN = 6;

/** Functions that a slot has room for. */
const MOST = 8;

/** Needs code because a device has as many functions as the user lists or the host has, each an option of its own. */
export function resolvePassthrough(device: PlannedDevice, context: PlanContext): Resolved {
  const choice = chooseFunctions(context.devices, context.facts.pci ?? []).get(device);
  if (choice) tellChoice(device, choice, context);
  const functions = choice?.functions.map(({ address }) => address) ?? [];
  if (functions.length > MOST)
    context.refuse({
      code: 'combination-refused',
      message: `${device.id}.pci has ${functions.length} functions; a slot has room for ${MOST}`,
      help: 'list the functions of one device, and further devices under `pci`',
      origin: saidAt(device, 'pci'),
    });
  // What is about the device as a whole is said of its main function.
  const rombar = param<boolean>(device, 'rombar');
  const own = {
    'x-vga': param<boolean>(device, 'x-vga'),
    'x-igd-opregion': param<boolean>(device, 'x-igd-opregion'),
    romfile: param<string>(device, 'romfile'),
    rombar: rombar === null ? null : Number(rombar),
  };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== null)) as {
    [key: string]: string;
  };
  const options = functions.map(
    (host, index): QemuOption => ({
      name: 'device',
      args: {
        driver: 'vfio-pci',
        host,
        id: `${device.id}.${index}`,
        bus: device.slot?.bus ?? 'pcie.0',
        addr: `${device.slot?.addr ?? '0'}.${index}`,
        ...(index === 0 && functions.length > 1 && { multifunction: true }),
        ...(index === 0 && given),
      },
      origin: device.origin,
    }),
  );
  return { options };
}

/** Tells what was taken of several, and what none or too many can be taken for. */
function tellChoice(device: PlannedDevice, { functions, others, unclear }: PciChoice, context: PlanContext): void {
  const { facts, note, require } = context;
  const origin = saidAt(device, 'pci');
  const unmet = (code: string, message: string, help: string): void =>
    require({ kind: 'unmet', code, message: `${device.id}.pci: ${message}`, help, origin });
  if (facts.pci === undefined && (others.length > 0 || unclear.length > 0)) {
    unmet('pci-unknown', 'nothing is known here about PCI devices', 'make the facts anew, where they are: ezvm facts');
    return;
  }
  for (const { word, found } of unclear)
    if (found.length > 1)
      unmet(
        'pci-ambiguous',
        `${word} is ${found.map(({ address }) => address).join(' as well as ')}`,
        'write the address of the one you mean, or `take: first-free` for whichever is free',
      );
    else unmet('pci-missing', `there is no PCI device ${word}`, candidatesFor(word, facts.pci ?? []));
  if (others.length === 0) return;
  const taken = functions.map(({ address }) => address);
  require({
    kind: 'vfio-choice',
    taken,
    others: others.map((one) => one.map(({ address }) => address)),
    origin,
  });
  if (functions.some(({ fault }) => fault !== undefined)) return;
  const passed = others.flatMap((one) => one.find(({ fault }) => fault !== undefined) ?? []);
  note({
    severity: 'note',
    code: 'pci-chosen',
    message: `${device.id}.pci: ${taken.join(' and ')} is taken, of ${others.length + 1}`,
    help: passed.length === 0 ? undefined : `not free: ${passed.map(({ fault }) => fault).join('; ')}`,
    origin,
  });
}

/** What may have been meant by a word that names nothing: devices of the same maker. */
function candidatesFor(word: string, known: readonly PciFacts[]): string {
  const [vendor] = word.split(':');
  const near = known.filter(({ id }) => id.startsWith(`${vendor}:`)).map(({ address, id }) => `${id} at ${address}`);
  return near.length > 0 && near.length <= SHOWN
    ? `of the same maker there is ${near.join(', ')}`
    : 'see the ids and addresses of your devices: lspci -Dnn';
}

import type { ParamValue } from '../src/catalog/params.ts';
import type { DeviceSpec, VmSpec } from '../src/model/spec.ts';
import { choicesOf, DEVICES, type DeviceType, deviceWith, EMPTY, type Values } from './one-device.ts';

/** A machine of the product; its title tells the choices. */
export interface Combination {
  readonly title: string;
  readonly spec: VmSpec;
}

/** A choice on one axis: what it puts into which sections. */
interface Choice {
  readonly label: string;
  readonly devices: readonly DeviceSpec[];
}

/**
 * Parameters whose every value is a choice of its own, by section or by type; of the others the default will do, or a value
 * that is required.
 */
const TOLD: { readonly [name: string]: readonly string[] } = {
  // The keys follow Secure Boot.
  firmware: ['secure-boot', 'size'],
  'gpu/qxl': ['outputs'],
  display: ['gl'],
  spice: ['gl'],
};

for (const [name, params] of Object.entries(TOLD))
  for (const param of params) {
    const [section, type] = name.split('/');
    const has = DEVICES.some(
      (one) =>
        one.section.name === section &&
        (type === undefined || one.template.type === type) &&
        one.template.params[param] !== undefined,
    );
    if (!has) throw new Error(`there is no parameter ${param} of ${name}, so nothing would be told of it`);
  }

/** Servers that show what such a display draws, and which no template of a display requires. */
const SHOWN_BY: { readonly [display: string]: string } = { 'egl-headless': 'spice' };

/** The values that `given` has no say in: every choice, or every number from one end to the other. */
function told(section: string, device: DeviceType): Values[] {
  const params = [...(TOLD[section] ?? []), ...(TOLD[`${section}/${device.template.type}`] ?? [])];
  return params.reduce<Values[]>(
    (rows, name) => {
      const spec = device.template.params[name];
      if (!spec) return rows;
      const { min = 1, max = min } = spec;
      const numbers = Array.from({ length: max - min + 1 }, (_, index) => min + index);
      return rows.flatMap((row) => (choicesOf(spec) ?? numbers).map((value) => ({ ...row, [name]: value })));
    },
    [{}],
  );
}

/** Every type of a section, each with every value of what is told of it. */
function choicesIn(section: string, given: (device: DeviceType) => Values): Choice[] {
  return DEVICES.filter((device) => device.section.name === section).flatMap((device) =>
    told(section, device).map((values) => ({
      label: [device.template.type, ...Object.entries(values).map(showValue)].join(' '),
      devices: [deviceWith(device, { ...given(device), ...values })],
    })),
  );
}

function showValue([name, value]: readonly [string, ParamValue]): string {
  return typeof value === 'boolean' ? `${name} ${value ? 'on' : 'off'}` : `${name} ${value}`;
}

/** Every display with every server that it shows through. */
function displays(given: (device: DeviceType) => Values): Choice[] {
  return choicesIn('display', given).flatMap((display) =>
    display.devices.flatMap(({ template }) => {
      const required = template.requires.map(({ device }) => device.split('/')[0] ?? '');
      const server = [...required, SHOWN_BY[template.type] ?? ''].find((name) => ['spice', 'vnc'].includes(name));
      if (server === undefined) return [display];
      return choicesIn(server, given).map(({ label, devices }) => ({
        label: `${display.label} through ${server} ${label}`,
        devices: [...display.devices, ...devices],
      }));
    }),
  );
}

/** What may be left out altogether. */
const NOTHING: Choice = { label: 'none', devices: [] };

/** The boards whose processors a host with `arch` has, one for each chipset: the others only put things elsewhere. */
export function chipsetsOf(arch: string): DeviceType[] {
  return DEVICES.filter(({ template: { board, type } }) => board?.arch === arch && board.name === type);
}

/**
 * Every one of `boards` with every firmware, TPM, graphics card and display that the templates have, each with each.
 * @param given values for what is required
 */
export function product(boards: readonly DeviceType[], given: (device: DeviceType) => Values): Combination[] {
  const axes: { readonly [axis: string]: readonly Choice[] } = {
    board: boards.map((board) => ({ label: board.template.type, devices: [deviceWith(board, given(board))] })),
    firmware: [NOTHING, ...choicesIn('firmware', given)],
    TPM: [NOTHING, ...choicesIn('tpm', given)],
    GPU: [NOTHING, ...choicesIn('gpu', given)],
    display: displays(given),
  };
  const rows = Object.entries(axes).reduce<Choice[]>(
    (found, [axis, choices]) =>
      found.flatMap((row) =>
        choices.map(({ label, devices }) => ({
          label: [row.label, `${axis} ${label}`].filter((text) => text !== '').join(', '),
          devices: [...row.devices, ...devices],
        })),
      ),
    [{ label: '', devices: [] }],
  );
  const chosen = ['machine', 'firmware', 'tpm', 'gpu', 'display', 'spice', 'vnc'];
  const rest = EMPTY.devices.filter(({ section }) => !chosen.includes(section));
  return rows.map(({ label, devices }) => ({ title: label, spec: { ...EMPTY, devices: [...rest, ...devices] } }));
}

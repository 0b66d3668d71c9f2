import type { ScalarNode, SourceNode } from '../../core/source.ts';
import { mapOf, type Reader, scalar, type Translation } from './translation.ts';

/** Ports of the USB controller. */
const USB_PORTS = 15;

interface Function_ {
  readonly slot: string;
  readonly number: number;
  readonly host: ScalarNode;
  readonly multi: ScalarNode | undefined;
  readonly isGpu: boolean;
}

/**
 * Translates `host` and the functions of a passed-through graphics card. What shares a slot (the `0` of vm_id "0.1") is
 * one device.
 * @param wantsTablet for a window of QEMU's own
 */
export function translateDevices(gpu: Reader, host: Reader, wantsTablet: boolean, out: Translation): void {
  const isPassed = gpu.text('type')?.value === 'passthrough';
  const functions = [
    ...(isPassed ? gpu.maps('pci').flatMap((item) => readFunction(item, true, out)) : []),
    ...host.maps('pci').flatMap((item) => readFunction(item, false, out)),
  ];
  if (isPassed) gpu.close();
  for (const [index, one] of functions.entries()) {
    const other = functions.slice(0, index).find(({ slot, number }) => slot === one.slot && number === one.number);
    if (other)
      out.refuse(
        'value-wrong',
        one.host.at,
        `${one.host.value} has the vm_id "${one.slot}.${one.number}" of ${other.host.value}`,
        'give each its own; those of gpu and host are counted together',
      );
  }
  const slots = new Map<string, Function_[]>();
  for (const each of functions) slots.set(each.slot, [...(slots.get(each.slot) ?? []), each]);
  const cards = [...slots.values()].map((all) => all.toSorted((a, b) => a.number - b.number));
  const graphics = cards.find((all) => all.some(({ isGpu }) => isGpu));
  if (isPassed && !graphics) out.put('gpu', mapOf(gpu.at, { type: scalar(gpu.at, 'none') }));
  if (graphics) out.put('gpu', passed(graphics, 'gpu', out));
  const others = cards.filter((all) => all !== graphics);
  for (const [index, all] of others.entries()) {
    const node = passed(all, `pci${index}`, out);
    out.put('pci', mapOf(node.at, { [`pci${index}`]: node }));
  }
  usb(host, wantsTablet, out);
  host.close();
}

function readFunction(item: Reader, isGpu: boolean, out: Translation): Function_[] {
  const id = item.required('vm_id');
  const host = item.required('host_id');
  const multi = item.switch('multi_function');
  item.close();
  if (!id || !host) return [];
  const [, slot, number = '0'] = /^([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(id.value) ?? [];
  if (slot === undefined) {
    out.refuse(
      'value-wrong',
      id.at,
      `${item.path}.vm_id is "${id.value}"; a slot and a function such as "0.1" are wanted`,
    );
    return [];
  }
  return [{ slot: slot.toLowerCase(), number: Number(number), host, multi, isGpu }];
}

function passed(functions: readonly Function_[], id: string, out: Translation): SourceNode {
  const at = functions[0]?.host.at ?? [1, 1];
  for (const [index, { number, host, multi }] of functions.entries()) {
    const target = `device:${id}.${index}`;
    if (number !== index) out.patch(target, 'addr', scalar(host.at, `0.${number}`));
    // ezvm says it of the first of several by itself.
    if (multi?.value === true && !(index === 0 && functions.length > 1)) out.patch(target, 'multifunction', multi);
  }
  return mapOf(at, {
    type: scalar(at, 'passthrough'),
    pci: { kind: 'list', at, items: functions.map(({ host }) => host) },
  });
}

function usb(host: Reader, wantsTablet: boolean, out: Translation): void {
  const taken = new Set<number>();
  for (const [index, item] of host.maps('usb').entries()) {
    const port = item.required('vm_port');
    const hostbus = item.required('host_bus');
    const hostport = item.required('host_port');
    item.close();
    if (!port) continue;
    const number = Number(port.value);
    if (!Number.isInteger(number) || number < 1 || number > USB_PORTS) {
      out.refuse(
        'value-wrong',
        port.at,
        `${item.path}.vm_port is "${port.value}"; a port from 1 to ${USB_PORTS} is wanted`,
      );
      continue;
    }
    if (taken.has(number)) {
      out.refuse(
        'value-wrong',
        port.at,
        `${item.path}.vm_port is ${number}, where another device is already`,
        `ports are 1 to ${USB_PORTS}, one for each device`,
      );
      continue;
    }
    taken.add(number);
    const slot = scalar(port.at, number - 1);
    const node = mapOf(item.at, { type: scalar(item.at, 'host'), hostbus, hostport, slot });
    out.put('usb', mapOf(item.at, { [`usb${index}`]: node }));
  }
  if (!wantsTablet) return;
  const ports = Array.from({ length: USB_PORTS }, (_, index) => USB_PORTS - index);
  const free = ports.find((port) => !taken.has(port)) ?? 1;
  const tablet = mapOf(host.at, { type: scalar(host.at, 'tablet'), slot: scalar(host.at, free - 1) });
  out.put('usb', mapOf(host.at, { tablet }));
}

import type { PciFacts } from '../host/facts.ts';
import { type PlannedDevice, param } from './device.ts';

/** What of the host a device is. */
export interface PciChoice {
  /** The main function first. */
  readonly functions: readonly PciFacts[];
  /** Of several devices, of which it is the first that was free: the others, function by function. */
  readonly others: readonly (readonly PciFacts[])[];
  /** Words that name none of the host's devices, or more than one. */
  readonly unclear: readonly { readonly word: string; readonly found: readonly PciFacts[] }[];
}

/** Chooses for each device that is handed over what of `known` its words mean, so that none is taken for two. */
export function chooseFunctions(
  devices: readonly PlannedDevice[],
  known: readonly PciFacts[],
): ReadonlyMap<PlannedDevice, PciChoice> {
  const handing = devices.filter(({ template }) => template.resolver === 'passthrough');
  const isPicky = (device: PlannedDevice): boolean => param<string>(device, 'take') !== 'first-free';
  const choices = new Map<PlannedDevice, PciChoice>();
  for (const device of handing.filter(isPicky)) choices.set(device, takeAll(wordsOf(device), known));
  for (const device of handing.filter((one) => !isPicky(one))) {
    const taken = [...choices.values()].flatMap(({ functions }) => functions.map(({ address }) => address));
    choices.set(device, takeFirstFree(wordsOf(device), known, taken));
  }
  return choices;
}

function wordsOf(device: PlannedDevice): readonly string[] {
  return param<readonly string[]>(device, 'pci') ?? [];
}

/** All devices that the words name are one to the guest. */
function takeAll(words: readonly string[], known: readonly PciFacts[]): PciChoice {
  const functions: PciFacts[] = [];
  const unclear: { word: string; found: readonly PciFacts[] }[] = [];
  for (const word of words) {
    const meant = namedBy(word, known);
    // Of two cards with the same sound function, it is that of the card named before.
    const near = meant.filter(
      ([first]) => first && functions.some(({ address }) => slotOf(address) === slotOf(first.address)),
    );
    const [one, another] = near.length === 1 ? near : meant;
    if (one && !another) functions.push(...one);
    else unclear.push({ word, found: meant.flat() });
  }
  return { functions, others: [], unclear };
}

function takeFirstFree(words: readonly string[], known: readonly PciFacts[], taken: readonly string[]): PciChoice {
  const named = words.flatMap((word) => namedBy(word, known));
  const isLeft = (device: readonly PciFacts[]): boolean => !device.some(({ address }) => taken.includes(address));
  const left = named.filter(isLeft);
  const isFree = (device: readonly PciFacts[]): boolean => device.every(({ fault }) => fault === undefined);
  // The setuid helper may lend what a driver of the host's has. Where there is none at all, the first shows what is wrong.
  const isClosed = (device: readonly PciFacts[]): boolean =>
    device.every(({ fault, closed }) => fault === undefined || closed === true);
  const chosen = left.find(isFree) ?? left.find(isClosed) ?? left[0] ?? named[0];
  return {
    functions: chosen ?? [],
    others: named.filter((one) => one !== chosen && isLeft(one)),
    unclear: chosen ? [] : words.map((word) => ({ word, found: [] })),
  };
}

/** The devices that a word may mean: a function by its address, all of a slot's, or each function of a vendor and device. */
function namedBy(word: string, known: readonly PciFacts[]): readonly (readonly PciFacts[])[] {
  if (word.includes('.')) return [[known.find(({ address }) => address === word) ?? absent(word)]];
  if (word.split(':').length === 2) return known.filter(({ id }) => id === word).map((one) => [one]);
  const functions = known.filter(({ address }) => slotOf(address) === word);
  return functions.length > 0 ? [functions] : [];
}

function absent(address: string): PciFacts {
  return { address, id: '', fault: `there is no PCI device ${address}` };
}

function slotOf(address: string): string {
  return address.split('.')[0] ?? '';
}

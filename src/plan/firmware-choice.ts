import type { FirmwareDescriptor } from '../host/facts.ts';

/** What a VM wants of its firmware; what is left out does not matter to it. */
export interface FirmwareWish {
  readonly interface: 'uefi' | 'bios';
  /** As QEMU names targets. */
  readonly arch: string;
  /** Canonical: `pc-q35-7.2`, for no descriptor matches `q35`. */
  readonly machine: string;
  readonly secureBoot?: boolean;
  readonly enrolledKeys?: boolean;
  /** Bytes of image and variable store together. */
  readonly size?: number;
  /** Bytes of the variable store that there is already. */
  readonly nvramSize?: number;
}

/** The first descriptor that has all that is wished for, as QEMU's docs/interop/firmware.json asks of a chooser. */
export function chooseFirmware(
  descriptors: readonly FirmwareDescriptor[],
  wish: FirmwareWish,
): FirmwareDescriptor | undefined {
  return descriptors.find(
    (one) =>
      one.interfaces.includes(wish.interface) &&
      one.targets.some(
        ({ architecture, machines }) =>
          architecture === wish.arch && machines.some((glob) => matches(glob, wish.machine)),
      ) &&
      agrees(one, 'secure-boot', wish.secureBoot) &&
      agrees(one, 'enrolled-keys', wish.enrolledKeys) &&
      (wish.size === undefined || (one.executableSize ?? 0) + (one.nvramSize ?? 0) === wish.size) &&
      (wish.nvramSize === undefined || one.nvramSize === wish.nvramSize) &&
      // UEFI without a variable store of its own forgets its boot entries.
      one.mode === (wish.interface === 'uefi' ? 'split' : 'memory') &&
      ['raw', 'qcow2'].includes(one.executableFormat),
  );
}

function agrees(descriptor: FirmwareDescriptor, feature: string, wanted: boolean | undefined): boolean {
  return wanted === undefined || descriptor.features.includes(feature) === wanted;
}

function matches(glob: string, name: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`).test(name);
}

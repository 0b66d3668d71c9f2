import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import type { HostFacts } from '../../src/host/facts.ts';
import { folderTemplates } from '../checkout.ts';
import { hostFacts, planOf } from '../planned.ts';

const CATALOG = new Catalog(folderTemplates());
const LAPTOP = hostFacts('laptop');
const WITHOUT_GPU: HostFacts = { ...LAPTOP, renderNodes: [] };
const WITHOUT_VIRGL: HostFacts = {
  ...LAPTOP,
  ...(LAPTOP.qemu && { qemu: { ...LAPTOP.qemu, devices: ['virtio-vga', 'virtio-gpu-pci'] } }),
};

/** The card and the display of a VM, and what its host lacks for them. */
function screenOf(vm: string, facts: HostFacts): unknown[] {
  const { qemu, requirements } = planOf(vm, CATALOG, facts);
  const props = qemu.options.map(({ args }) => (typeof args === 'object' ? args : {}));
  const lacks = requirements.flatMap((one) => (one.kind === 'unmet' && one.code === 'gl-missing' ? [one.code] : []));
  return [props.find(({ id }) => id === 'gpu')?.['driver'], props.find(({ gl }) => gl !== undefined)?.['gl'], ...lacks];
}

describe('OpenGL', () => {
  it.each([
    ['template: linux-desktop\n', LAPTOP, ['virtio-vga-gl', 'on']],
    ['template: linux-desktop\n', WITHOUT_GPU, ['virtio-vga', 'off']],
    ['template: linux-desktop\n', WITHOUT_VIRGL, ['virtio-vga', 'off']],
    ['template: linux-desktop\ndisplay: { gl: on }\n', WITHOUT_GPU, ['virtio-vga', 'on']],
    ['template: linux-desktop\ndisplay: { gl: off }\n', LAPTOP, ['virtio-vga', 'off']],
    ['template: linux-desktop\ndisplay: spice\n', LAPTOP, ['virtio-vga', undefined]],
    ['template: linux-desktop\ndisplay: spice\nspice: { gl: on }\n', LAPTOP, ['virtio-vga-gl', true]],
    ['gpu: virtio-vga-gl\ndisplay: { type: gtk, gl: auto }\n', WITHOUT_GPU, ['virtio-vga-gl', 'off', 'gl-missing']],
    [
      'gpu: virtio\nmachine: { type: virt, accel: tcg }\nfirmware: none\ndisplay: { type: gtk, gl: auto }\n',
      LAPTOP,
      ['virtio-gpu-gl-pci', 'on'],
    ],
  ])('in %j is for a host with a GPU, and a display that draws with it', (vm, facts, expected) => {
    expect(screenOf(vm, facts)).toEqual(expected);
  });
});

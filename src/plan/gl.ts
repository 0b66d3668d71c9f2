import type { PlanContext } from './device.ts';

/** Whether the host has a GPU that this QEMU can draw a guest's OpenGL with; where nobody looked, it is taken to. */
export function hasGl({ facts }: Pick<PlanContext, 'facts'>): boolean {
  const { qemu, renderNodes } = facts;
  return (qemu?.devices.includes('virtio-gpu-gl-pci') ?? true) && (renderNodes === undefined || renderNodes.length > 0);
}

/** Whether the host can draw with OpenGL, and a display of the VM lets it. */
export function drawsWithGl(context: Pick<PlanContext, 'facts' | 'spec'>): boolean {
  const draws = context.spec.devices.some(
    ({ section, template, params }) =>
      ['display', 'spice'].includes(section) &&
      (template.type === 'egl-headless' || ![undefined, null, false, 'off'].includes(params['gl']?.value as string)),
  );
  return draws && hasGl(context);
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { AS_ROOT, Machine } from '../boot/machine.ts';

const VM = 'template: none\nfirmware: bios\nmachine: pc\nmemory: 64M\n';

/** Starts what is refused; gives what was said. */
async function refused(device: string): Promise<string> {
  const machine = new Machine(`${VM}display: { type: looking-glass, open: off, device: ${device}, size: 32M }\n`);
  onTestFinished(() => machine.remove());
  const { exit, err } = await machine.ezvm(machine.file, ...AS_ROOT);
  expect(exit, err).toBe(3);
  expect(existsSync(join(machine.dir, 'run', 'ezvm', 'vm'))).toBe(false);
  return err;
}

it('a device of Looking Glass that is missing is told before the start, with what does without it', async () => {
  const said = await refused('/dev/kvmfr9');
  expect(said).toMatch(/vm\.yaml:6:\d+ {2}device \/dev\/kvmfr9 does not exist/);
  expect(said).toContain('static_size_mb=32');
  expect(said).toContain('device: /dev/shm/vm');
});

it('one that QEMU cannot map is told with the size that the module should have', async () => {
  // It is a device, and has no memory at all.
  const said = await refused('/dev/null');
  expect(said).toContain('unable to map backing store');
  expect(said).toMatch(/vm\.yaml:6:\d+ {2}QEMU refused to start/);
  expect(said).toContain('load the module anew: sudo modprobe -r kvmfr && sudo modprobe kvmfr static_size_mb=32');
});

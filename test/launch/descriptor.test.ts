import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EzvmError } from '../../src/core/diagnostic.ts';
import { launch } from '../../src/launch/launch.ts';
import type { Descriptor } from '../../src/plan/planned-qemu.ts';
import { buildPlan, guestUp, type Lab, makeLab } from './plan-builder.ts';

let lab: Lab;
let device: string | undefined;
beforeEach(() => {
  lab = makeLab();
});
afterEach(async () => {
  await lab.sweep();
  if (device !== undefined) execFileSync('losetup', ['--detach', device]);
  device = undefined;
});

/** A block device over the file of a guest's disk, which only root may open. */
function loop(file: string): string {
  const path = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  chmodSync(path, 0o600);
  device = path;
  return path;
}

function descriptor(path: string, changes: Partial<Descriptor> = {}): Descriptor {
  return { fd: 10, path, type: 'block', access: 'write', direct: true, exclusive: true, fdset: true, ...changes };
}

async function refusal(descriptors: readonly Descriptor[]): Promise<string[]> {
  const error = await launch(buildPlan(lab, { descriptors })).catch((reason: EzvmError) => reason);
  if (!('exit' in error)) throw new Error('it was started');
  expect(error.exit).toBe(3);
  expect(lab.leftovers()).toEqual([]);
  return error.diagnostics.map(({ code, message }) => `${code}: ${message}`);
}

const CAN_LOOP = process.geteuid?.() === 0 && spawnSync('losetup', ['--find']).status === 0;

describe.skipIf(!CAN_LOOP)(`a device of the host${CAN_LOOP ? '' : ' (left out: no loop device can be made)'}`, () => {
  it('boots a guest that QEMU has no path to, under the number planned', async () => {
    const { vm } = buildPlan(lab);
    const path = loop(join(lab.dir, `${vm.name}.img`));
    const blockdev = {
      driver: 'raw',
      'node-name': 'disk',
      file: { driver: 'host_device', filename: '/dev/fdset/10', cache: { direct: true } },
      cache: { direct: true },
    };
    const plan = buildPlan(lab, {
      drive: false,
      descriptors: [descriptor(path)],
      options: [
        { name: 'add-fd', args: { fd: 10, set: 10 } },
        { name: 'blockdev', args: blockdev },
        { name: 'device', args: { driver: 'ide-hd', drive: 'disk' } },
      ],
    });
    const { state } = await launch(plan);
    await guestUp(lab);
    expect(openFiles(state.qemu?.pid)).toContain(path);
    expect(openFiles('self')).not.toContain(path);
    expect(claim(path)).toBe('EBUSY');
  });

  it('is refused while the host or another VM has it', async () => {
    buildPlan(lab);
    const path = loop(join(lab.dir, 'vm.img'));
    const held = openSync(path, constants.O_RDONLY | constants.O_EXCL);
    try {
      expect(await refusal([descriptor(path)])).toEqual([
        `device-busy: ${path} is in use by the host or by another VM`,
      ]);
    } finally {
      closeSync(held);
    }
  });
});

it('that is another kind of thing by now is refused, and so is one that is gone', async () => {
  const file = join(lab.dir, 'vm.img');
  buildPlan(lab);
  expect(
    await refusal([file, '/dev/null', join(lab.dir, 'gone')].map((path) => descriptor(path, { direct: false }))),
  ).toEqual([
    `path-wrong-kind: ${file} is no block device`,
    'path-wrong-kind: /dev/null is no block device',
    `device-refused: ${lab.dir}/gone cannot be opened: it does not exist`,
  ]);
});

/** What a process has open. */
function openFiles(pid: number | string | undefined): string[] {
  const dir = `/proc/${pid}/fd`;
  return readdirSync(dir).map((fd) => {
    try {
      return readlinkSync(join(dir, fd));
    } catch {
      return '';
    }
  });
}

/** How the kernel answers somebody else who wants a device for himself. */
function claim(path: string): string | undefined {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EzvmError } from '../../src/core/diagnostic.ts';
import { launch } from '../../src/launch/launch.ts';
import { preflight } from '../../src/launch/preflight.ts';
import { stop } from '../../src/launch/stop.ts';
import type { CreateImage, Plan, Requirement } from '../../src/plan/plan.ts';
import type { QemuOption } from '../../src/qemu/option.ts';
import { buildPlan, type Lab, makeLab } from './plan-builder.ts';

let lab: Lab;
beforeEach(() => {
  lab = makeLab();
});
afterEach(() => lab.sweep());

function image(step: Partial<CreateImage> = {}): CreateImage {
  return {
    do: 'create-image',
    path: join(lab.dir, 'new.qcow2'),
    format: 'qcow2',
    size: 2 ** 30,
    preallocation: 'off',
    program: '/usr/bin/qemu-img',
    ...step,
  };
}

function info(path: string): Record<string, unknown> {
  return JSON.parse(execFileSync('qemu-img', ['info', '--output=json', '-U', path], { encoding: 'utf8' }));
}

function images(): string[] {
  return readdirSync(lab.dir).filter((name) => name.startsWith('new'));
}

async function refused(plan: Plan): Promise<EzvmError> {
  const error = await launch(plan).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof EzvmError)) throw new Error('it was not refused', { cause: error });
  return error;
}

describe('a disk that is not there', () => {
  it('is created for its user alone, and stays', async () => {
    const plan = buildPlan(lab, { steps: [image()] });
    await launch(plan);
    await stop(plan.vm, { force: true });
    expect(images()).toEqual(['new.qcow2']);
    expect(lstatSync(image().path).mode & 0o777).toBe(0o600);
    expect(info(image().path)).toMatchObject({ format: 'qcow2', 'virtual-size': 2 ** 30 });
  });

  it('is laid over another image, whose format is stated', async () => {
    const base = join(lab.dir, 'base, 1.raw');
    writeFileSync(base, Buffer.alloc(2 ** 20, 'x'));
    const { size: _, ...step } = image({ backing: { path: base, format: 'raw' } });
    const plan = buildPlan(lab, { steps: [step] });
    await launch(plan);
    await stop(plan.vm, { force: true });
    expect(info(step.path)).toMatchObject({
      'virtual-size': 2 ** 20,
      'full-backing-filename': base,
      'backing-filename-format': 'raw',
    });
  });

  it('has all of its room set aside if so asked', async () => {
    const step = image({ path: join(lab.dir, 'new.raw'), format: 'raw', size: 2 ** 22, preallocation: 'full' });
    const plan = buildPlan(lab, { steps: [step] });
    await launch(plan);
    await stop(plan.vm, { force: true });
    expect(lstatSync(step.path).blocks * 512).toBeGreaterThanOrEqual(2 ** 22);
  });

  it('is gone again when the start fails', async () => {
    const error = await refused(
      buildPlan(lab, { steps: [image()], options: [{ name: 'device', args: { driver: 'no-such-device' } }] }),
    );
    expect(error.exit).toBe(3);
    expect(images()).toEqual([]);
    expect(lab.leftovers()).toEqual([]);
  });

  it('stays when the start fails after somebody wrote to it', async () => {
    const plan = buildPlan(lab, {
      steps: [image()],
      options: [{ name: 'device', args: { driver: 'no-such-device' } }],
    });
    const onStep = (moment: string): void => {
      if (moment === 'qemu: spawn') appendFileSync(image().path, 'data');
    };
    await expect(launch(plan, { onStep })).rejects.toBeInstanceOf(EzvmError);
    expect(images()).toEqual(['new.qcow2']);
  });

  it.each(['create', 'rename'])('is not made over one that came to be at the last moment (%s)', async (when) => {
    const plan = buildPlan(lab, { steps: [image()] });
    const onStep = (moment: string): void => {
      if (moment === `create new.qcow2: ${when}`) writeFileSync(image().path, 'mine');
    };
    const outcome = await launch(plan, { onStep }).then(
      () => 'started',
      (error: Error) => error.message,
    );
    expect(outcome).toMatch(/File exists|EEXIST|file already exists/);
    expect(readFileSync(image().path, 'utf8')).toBe('mine');
    expect(images()).toEqual(['new.qcow2']);
  });

  it('leaves one that is there as it is, even when the start fails', async () => {
    writeFileSync(image().path, 'mine');
    await refused(
      buildPlan(lab, { steps: [image()], options: [{ name: 'device', args: { driver: 'no-such-device' } }] }),
    );
    expect(readFileSync(image().path, 'utf8')).toBe('mine');
  });

  it('that cannot be made is told in the words of qemu-img, at the place that asked for it', async () => {
    const origin = { file: 'vm.yaml', line: 3, column: 5 };
    const { diagnostics, exit } = await refused(
      buildPlan(lab, { steps: [image({ format: 'raw', preallocation: 'metadata', origin })] }),
    );
    expect(exit).toBe(3);
    expect(diagnostics).toMatchObject([{ code: 'image-refused', origin }]);
    expect(diagnostics[0]?.message).toContain(`cannot create the disk ${image().path}: `);
    expect(images()).toEqual([]);
  });

  it('ends qemu-img when nobody waits for it any more', async () => {
    const interrupt = new AbortController();
    // A hundred gigabytes of zeroes would take long, and more room than there is.
    const step = image({ path: join(lab.dir, 'new.raw'), format: 'raw', size: 2 ** 33, preallocation: 'full' });
    const onProgress = (): void => void setTimeout(() => interrupt.abort(), 50);
    await expect(
      launch(buildPlan(lab, { steps: [step] }), { signal: interrupt.signal, onProgress }),
    ).rejects.toMatchObject({ exit: 130 });
    expect(images()).toEqual([]);
    expect(lab.leftovers()).toEqual([]);
  });
});

describe('room for a new disk', () => {
  function needs(made: { bytes: number; atOnce: boolean }, path = image().path): Requirement {
    return { kind: 'path', path, access: 'write', type: 'image', made };
  }
  const check = (requirement: Requirement): Promise<readonly unknown[]> =>
    preflight(buildPlan(lab, { requirements: [requirement] }), { session: {} }).catch(
      (error: EzvmError) => error.diagnostics,
    );

  it('is enough for a small one', async () => {
    expect(await check(needs({ bytes: 2 ** 20, atOnce: true }))).toEqual([]);
  });

  it('that is too little for all at once is a fault, and a warning for what grows', async () => {
    expect(await check(needs({ bytes: 2 ** 60, atOnce: true }))).toMatchObject([
      { severity: 'error', code: 'room-short', message: expect.stringMatching(/takes .*, and [\d.]+G are free in/) },
    ]);
    expect(await check(needs({ bytes: 2 ** 60, atOnce: false }))).toMatchObject([
      { severity: 'warning', code: 'room-short', message: expect.stringContaining('may grow to') },
    ]);
  });

  it('is none where there is no directory', async () => {
    const missing = join(lab.dir, 'no', 'new.qcow2');
    expect(await check(needs({ bytes: 1, atOnce: false }, missing))).toMatchObject([
      { severity: 'error', code: 'path-denied', message: expect.stringContaining('it does not exist') },
    ]);
    expect(existsSync(join(lab.dir, 'no'))).toBe(false);
  });
});

describe('an image that another VM has', () => {
  const path = (): string => join(lab.dir, 'shared.raw');
  const check = (access: 'read' | 'write'): Promise<readonly unknown[]> =>
    preflight(buildPlan(lab, { requirements: [{ kind: 'path', path: path(), access, type: 'image' }] }), {
      session: {},
    }).catch((error: EzvmError) => error.diagnostics);
  const disk = (readOnly: boolean): QemuOption[] => [
    { name: 'name', args: { guest: 'vm' } },
    {
      name: 'blockdev',
      args: { driver: 'raw', 'node-name': 'x', 'read-only': readOnly, file: { driver: 'file', filename: path() } },
    },
    { name: 'device', args: { driver: 'virtio-blk-pci', drive: 'x' } },
  ];

  it('cannot be used by a second one while it is written, and is told with the name of the first', async () => {
    writeFileSync(path(), Buffer.alloc(2 ** 20));
    expect(await check('write')).toEqual([]);
    const plan = buildPlan(lab, { options: disk(false) });
    await launch(plan);
    for (const access of ['read', 'write'] as const)
      expect(await check(access)).toMatchObject([
        { code: 'image-busy', message: expect.stringMatching(/shared\.raw is in use by VM vm \(pid \d+\)$/) },
      ]);
    await stop(plan.vm, { force: true });
    expect(await check('write')).toEqual([]);
  });

  it('can be read by both, and not written by the second, while the first reads it', async () => {
    writeFileSync(path(), Buffer.alloc(2 ** 20));
    const plan = buildPlan(lab, { options: disk(true) });
    await launch(plan);
    expect(await check('read')).toEqual([]);
    expect(await check('write')).toMatchObject([{ code: 'image-busy' }]);
    await stop(plan.vm, { force: true });
  });
});

describe('what the guest writes in one run', () => {
  const layer = (): CreateImage => {
    const base = join(lab.dir, 'base.raw');
    writeFileSync(base, Buffer.alloc(2 ** 20, 'x'));
    const { size: _, ...step } = image({ backing: { path: base, format: 'raw' }, forOneRun: true });
    return step;
  };

  it('goes into an image that is made anew, and is gone with the VM', async () => {
    const step = layer();
    writeFileSync(step.path, 'left behind by another run');
    const plan = buildPlan(lab, { steps: [step] });
    await launch(plan);
    expect(info(step.path)).toMatchObject({ format: 'qcow2', 'virtual-size': 2 ** 20 });
    await stop(plan.vm, { force: true });
    expect(images()).toEqual([]);
  });

  it('leaves nothing behind where the start fails', async () => {
    const step = layer();
    await refused(buildPlan(lab, { steps: [step, image({ path: join(lab.dir, 'new.none'), format: 'none' })] }));
    expect(images()).toEqual([]);
  });
});

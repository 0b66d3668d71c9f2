import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { launch } from '../../src/launch/launch.ts';
import { stop } from '../../src/launch/stop.ts';
import type { Plan, RunOnce } from '../../src/plan/plan.ts';
import { buildPlan, type Lab, makeLab, until } from './plan-builder.ts';

let lab: Lab;
let from: string;
let to: string;
beforeEach(() => {
  lab = makeLab();
  [from, to] = [join(lab.dir, 'half'), join(lab.dir, 'whole')];
});
afterEach(() => lab.sweep());

function plan(script: string): Plan {
  const step: RunOnce = {
    do: 'run',
    name: 'maker',
    argv: ['/bin/sh', '-c', script],
    environment: { MADE_IN: 'a test' },
    makes: { from, to },
    help: 'do without',
  };
  return buildPlan(lab, { steps: [step] });
}

describe('a program that is run once', () => {
  it('makes what it makes before the VM starts, and not again', async () => {
    const once = plan(`test ! -e ${from} && printf "$MADE_IN" > ${from}`);
    writeFileSync(from, 'half of what an earlier run made');
    await launch(once);
    expect(readFileSync(to, 'utf8')).toBe('a test');
    expect(existsSync(from)).toBe(false);
    await stop(once.vm, { force: true });
    writeFileSync(to, 'grown since');
    await launch(once);
    expect(readFileSync(to, 'utf8')).toBe('grown since');
    await stop(once.vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it.each([
    ['fails', 'echo no luck >&2; exit 3', 'maker exited with status 3: no luck'],
    ['makes nothing', 'echo done', /^maker did not make .*half: done$/],
  ])('that %s fails the start, with its words', async (_, script, message) => {
    await expect(launch(plan(script))).rejects.toMatchObject({
      exit: 3,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      diagnostics: [{ help: 'do without' }],
    });
    expect(existsSync(to)).toBe(false);
    expect(lab.leftovers()).toEqual([]);
  });

  it('that never ends is ended', async () => {
    await expect(launch(plan(`echo still busy; sleep 600; : ${lab.dir}/`))).rejects.toMatchObject({
      exit: 3,
      message: 'maker did not end within 30 s: still busy',
    });
    expect(existsSync(to)).toBe(false);
    expect(lab.leftovers()).toEqual([]);
  });

  it('finds its folders made', async () => {
    const [folder, deep] = [join(lab.dir, 'new', 'work'), join(lab.dir, 'new', 'whole')];
    const [step] = plan(`echo whole >${folder}/half`).steps as [RunOnce];
    const once = buildPlan(lab, { steps: [{ ...step, folder, makes: { from: join(folder, 'half'), to: deep } }] });
    await launch(once);
    expect(readFileSync(deep, 'utf8')).toBe('whole\n');
    expect(existsSync(folder)).toBe(false);
    await stop(once.vm, { force: true });
  });

  it('runs once also for VMs that start at the same moment', async () => {
    const script = `echo . >>${lab.dir}/runs; mkdir ${lab.dir}/busy && sleep 0.3 && rmdir ${lab.dir}/busy && echo whole >${from}`;
    const vms = ['one', 'two', 'three'].map((name) => {
      const { steps } = plan(script);
      return buildPlan(lab, { name, steps });
    });
    await Promise.all(vms.map((vm) => launch(vm)));
    expect(readFileSync(join(lab.dir, 'runs'), 'utf8')).toBe('.\n');
    expect(readFileSync(to, 'utf8')).toBe('whole\n');
    for (const { vm } of vms) await stop(vm, { force: true });
    expect(lab.leftovers()).toEqual([]);
  });

  it('that hangs can be interrupted, and is gone', async () => {
    mkdirSync(lab.runRoot, { mode: 0o700 });
    const abort = new AbortController();
    const started = launch(plan(`touch ${lab.dir}/begun; sleep 600; : ${lab.dir}/`), { signal: abort.signal });
    await Promise.race([started, until('its beginning', () => existsSync(join(lab.dir, 'begun')))]);
    abort.abort();
    await expect(started).rejects.toMatchObject({ exit: 130 });
    expect(lab.leftovers()).toEqual([]);
  });
});

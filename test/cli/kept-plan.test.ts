import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ezvm = resolve('bin/ezvm.js');
let scratch: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ezvm-kept-'));
  env = { ...process.env, XDG_CONFIG_HOME: join(scratch, 'config'), XDG_CACHE_HOME: join(scratch, 'cache') };
  mkdirSync(join(scratch, 'config', 'ezvm'), { recursive: true, mode: 0o700 });
  writeFileSync(join(scratch, 'vm.yaml'), 'template: linux\ndisplay: none\nmemory: 1G\ndisks: [a.img]\n');
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function plan(...flags: string[]): string {
  return execFileSync(process.execPath, [ezvm, 'plan', '--json', join(scratch, 'vm.yaml'), ...flags], {
    cwd: scratch,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

function keptFiles(): string[] {
  const dir = join(scratch, 'cache', 'ezvm');
  return existsSync(dir) ? readdirSync(dir).filter((name) => name.startsWith('plan-')) : [];
}

describe('a kept plan', () => {
  it('is the plan that would be made afresh', () => {
    const fresh = plan();
    expect(keptFiles()).toHaveLength(1);
    expect(plan()).toBe(fresh);
  });

  it('is really used: what is in the file is what is printed', () => {
    plan();
    const [name = ''] = keptFiles();
    const file = join(scratch, 'cache', 'ezvm', name);
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { value: { plan: { stopTimeout: number } } };
    kept.value.plan.stopTimeout = 4321;
    writeFileSync(file, JSON.stringify(kept));
    expect(JSON.parse(plan())).toMatchObject({ stopTimeout: 4321 });
  });

  it.each([
    [
      'the VM file',
      () => writeFileSync(join(scratch, 'vm.yaml'), 'template: linux\ndisplay: none\nmemory: 3G\ndisks: [a.img]\n'),
    ],
    ['the settings', () => writeFileSync(join(scratch, 'config', 'ezvm', 'ezvm.yaml'), 'vm: { rng: none }\n')],
    [
      'what is at a path that the VM names',
      () => execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(scratch, 'a.img'), '1M']),
    ],
  ])('gives way when %s changes', (_what, change) => {
    const before = plan();
    change();
    const after = plan();
    expect(after).not.toBe(before);
    rmSync(join(scratch, 'cache'), { recursive: true });
    expect(plan()).toBe(after);
  });

  it('gives way when --set changes', () => {
    expect(plan('--set', 'memory=2G')).not.toBe(plan());
    expect(plan('--set', 'memory=2G')).not.toBe(plan());
  });

  it('is not kept of a VM with faults, which are told every time', () => {
    writeFileSync(join(scratch, 'vm.yaml'), 'template: linux\nmemry: 1G\n');
    for (const _ of [1, 2]) {
      const { status, stderr } = spawnSync(process.execPath, [ezvm, 'args', join(scratch, 'vm.yaml')], {
        cwd: scratch,
        env,
        encoding: 'utf8',
      });
      expect(status).toBe(1);
      expect(stderr).toContain('did you mean memory?');
    }
    expect(keptFiles()).toHaveLength(0);
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Built } from './built.ts';

let built: Built;
let cache: string;

beforeEach(() => {
  built = new Built();
  cache = join(built.env['XDG_CACHE_HOME'] ?? '', 'ezvm');
  built.write('vm.yaml', 'template: linux\ndisplay: none\nmemory: 1G\ndisks: [a.img]\n');
});

afterEach(() => built.remove());

function plan(...flags: string[]): string {
  return built.run(['plan', '--json', 'vm.yaml', ...flags]).out;
}

function keptFiles(): string[] {
  return existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith('plan-')) : [];
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
    const file = join(cache, name);
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { value: { plan: { stopTimeout: number } } };
    kept.value.plan.stopTimeout = 4321;
    writeFileSync(file, JSON.stringify(kept));
    expect(JSON.parse(plan())).toMatchObject({ stopTimeout: 4321 });
  });

  it.each([
    ['the VM file', () => built.write('vm.yaml', 'template: linux\ndisplay: none\nmemory: 3G\ndisks: [a.img]\n')],
    ['the settings', () => built.write(join(built.config, 'ezvm.yaml'), 'vm: { rng: none }\n')],
    [
      'what is at a path that the VM names',
      () => execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(built.dir, 'a.img'), '1M']),
    ],
  ])('gives way when %s changes', (_what, change) => {
    const before = plan();
    change();
    const after = plan();
    expect(after).not.toBe(before);
    rmSync(cache, { recursive: true });
    expect(plan()).toBe(after);
  });

  it('gives way when --set changes', () => {
    expect(plan('--set', 'memory=2G')).not.toBe(plan());
    expect(plan('--set', 'memory=2G')).not.toBe(plan());
  });

  it('is not kept of a VM with faults, which are told every time', () => {
    built.write('vm.yaml', 'template: linux\nmemry: 1G\n');
    for (const _ of [1, 2])
      expect(built.run(['args', 'vm.yaml'])).toMatchObject({
        exit: 1,
        err: expect.stringContaining('did you mean memory?'),
      });
    expect(keptFiles()).toHaveLength(0);
  });
});

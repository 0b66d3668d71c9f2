import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Machine } from '../boot/machine.ts';

let machine: Machine;
beforeEach(() => {
  machine = new Machine(
    'template: none\nfirmware: bios\nmachine: pc\nmemory: 64M\nnetwork: none\ndisks: [{ file: a.raw, size: 1M }]\n',
  );
  for (const name of ['run', 'other']) mkdirSync(join(machine.dir, name), { mode: 0o700 });
});
afterEach(() => machine.remove());

function logIn(name: 'run' | 'other'): void {
  Object.assign(machine.env, { XDG_RUNTIME_DIR: join(machine.dir, name) });
}

describe('a VM that was started from another login', () => {
  it('is told of, spoken to and stopped as any', async () => {
    await machine.start();
    logIn('other');
    expect((await machine.ezvm('status')).out).toMatch(/^vm {2}running \(pid/);
    expect((await machine.ezvm('list')).out).toMatch(/vm +running/);
    expect((await machine.ezvm('status', 'vm')).exit).toBe(0);
    expect((await machine.ezvm('monitor', 'vm', 'info', 'status')).out).toContain('running');
    expect((await machine.ezvm('check', 'vm.yaml')).exit).toBe(0);
    const stopped = await machine.ezvm('stop', 'vm', '--force');
    expect(stopped, stopped.err).toMatchObject({ exit: 0 });
    expect((await machine.ezvm('status')).out).toBe('no VM is running\n');
  });

  it('is not said to be down when its sockets went with that login', async () => {
    await machine.start();
    const { pid } = await machine.status();
    rmSync(join(machine.dir, 'run', 'ezvm'), { recursive: true });
    for (const words of [['status', 'vm'], ['stop', 'vm'], ['status']]) {
      const { out, err } = await machine.ezvm(...words);
      expect(out + err, words.join(' ')).toMatch(new RegExp(`runs \\(pid ${pid}\\), but its sockets in .* are gone`));
    }
    expect((await machine.ezvm('stop', 'vm')).err).toContain(`kill ${pid}`);
    process.kill(pid ?? 0, 'SIGTERM');
  });
});

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { awaitEnd, endProcess, findSpawned, identify, isAlive, ticksNow } from '../../src/admin/process.ts';

const HAS_PYTHON = spawnSync('python3', ['-c', 'import ctypes']).status === 0;

describe('a process', () => {
  it('is itself and no other', () => {
    const self = identify(process.pid);
    expect(self).toEqual(identify(process.pid));
    expect(self && isAlive(self)).toBe(true);
    expect(self && isAlive({ ...self, startTime: `${self.startTime}0` })).toBe(false);
    expect(identify(2 ** 30)).toBeUndefined();
  });

  it.skipIf(!HAS_PYTHON)(
    `lives while any of its threads does${HAS_PYTHON ? '' : ' (left out: python3 is not installed)'}`,
    async () => {
      // SYS_exit ends the first thread only, as happens for a moment when a large QEMU is killed.
      const program =
        'import ctypes, platform, threading, time\n' +
        'threading.Thread(target=time.sleep, args=(600,)).start()\n' +
        'print("up", flush=True)\n' +
        'ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)\n';
      const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
      const identity = identify(child.pid ?? 0);
      await once(child.stdout, 'data');
      const stat = () => spawnSync('ps', ['-o', 'stat=', '-p', String(child.pid)], { encoding: 'utf8' }).stdout;
      while (!stat().startsWith('Z'));
      expect(identity && isAlive(identity)).toBe(true);
      expect(identity && (await endProcess(identity))).toBe(true);
      expect(identity && isAlive(identity)).toBe(false);
    },
  );

  it('that ignores SIGTERM is killed with all it started', async () => {
    const child = spawn('/bin/sh', ['-c', `trap '' TERM; sleep 600 & echo $!; while :; do sleep 1; done`], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    const own = identify(child.pid ?? 0);
    const grandchild = identify(Number(chunk.toString()));
    expect(own && grandchild && isAlive(grandchild)).toBe(true);
    expect(own && (await endProcess(own, 50))).toBe(true);
    expect(grandchild && (await awaitEnd(grandchild, 10_000))).toBe(true);
  });

  it('is found again by its command line, its session and the time', async () => {
    const argv = ['/bin/sleep', `600.${process.pid}`];
    const since = ticksNow();
    const [own, others] = [true, false].map((detached) => spawn(argv[0] ?? '', argv.slice(1), { detached }));
    await Promise.all([own, others].map((child) => child && once(child, 'spawn')));
    const found = (more: object): number[] => findSpawned([{ argv, since, ...more }]).map(({ pid }) => pid);
    try {
      expect(found({})).toEqual([own?.pid]);
      expect(found({ since: since + 100_000 })).toEqual([]);
      expect(found({ argv: [...argv, 'x'] })).toEqual([]);
    } finally {
      for (const child of [own, others]) child?.kill('SIGKILL');
    }
  });

  it('that is gone is ended without harm to anybody', async () => {
    const self = identify(process.pid);
    expect(self && (await endProcess({ ...self, startTime: 'then' }))).toBe(true);
  });
});

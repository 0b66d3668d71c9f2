import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Program } from '../program.ts';

let program: Program;
let root: string;
beforeEach(() => {
  program = new Program();
  root = join(program.dir, 'home', 'run', 'ezvm');
  const run = join(root, 'win');
  mkdirSync(run, { recursive: true });
  const bait = join(program.dir, 'bait');
  writeFileSync(bait, `#!/bin/sh\ntouch ${program.dir}/taken\n`, { mode: 0o755 });
  writeFileSync(join(run, 'journal'), `${JSON.stringify({ change: 'lent', program: bait, vm: 'win' })}\n`);
});
afterEach(() => rmSync(program.dir, { recursive: true, force: true }));

const VERBS = [
  ['status'],
  ['status', 'win'],
  ['list'],
  ['stop', 'win'],
  ['stop', 'win', '--force'],
  ['view', 'win'],
  ['monitor', 'win', 'quit'],
  ['qmp', 'win', 'quit'],
  ['restart-sidecar', 'win', 'viewer'],
];

describe('run directories that another user could have made are believed by no verb', () => {
  it.each(VERBS.map((words) => ({ words, verb: words.join(' ') })))('$verb', async ({ words }) => {
    chmodSync(root, 0o777);
    const { exit, out, err } = await program.run(...words);
    expect(out).toBe('');
    expect(err).toContain(`${root} can be changed by others (mode 777)`);
    expect(exit).toBe(3);
    expect(existsSync(join(program.dir, 'taken'))).toBe(false);
  });

  it.skipIf(process.geteuid?.() !== 0)('nor are those that belong to another', async () => {
    chownSync(root, 65534, 65534);
    const { exit, err } = await program.run('status');
    expect(err).toContain(`${root} belongs to user 65534`);
    expect(exit).toBe(3);
  });

  it.skipIf(process.geteuid?.() !== 0)('one’s own are: what is lent there is given back', async () => {
    chmodSync(join(program.dir, 'bait'), 0o4755);
    await program.run('status');
    expect(existsSync(join(program.dir, 'taken'))).toBe(true);
  });

  it('but call no program that anybody else than root has made, as a guest that owns its QEMU could ask for there', async () => {
    const { exit, err } = await program.run('stop', 'win');
    expect(err).toContain(`${program.dir}/bait is no setuid program of root's`);
    expect(exit).toBe(4);
    expect(existsSync(join(program.dir, 'taken'))).toBe(false);
  });
});

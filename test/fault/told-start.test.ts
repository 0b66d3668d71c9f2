import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Machine } from '../boot/machine.ts';

const BASE = 'template: none\nfirmware: bios\nmachine: pc\nmemory: 64M\nnetwork: none\n';

let machine: Machine;
afterEach(() => machine.remove());

describe('a start', () => {
  it.each([
    ['vnc', 'ezvm status vm · ezvm view vm · ezvm monitor vm · ezvm stop vm'],
    ['none', 'ezvm status vm · ezvm monitor vm · ezvm stop vm'],
  ])('with the display %s tells what can be done now', async (display, told) => {
    machine = new Machine(`${BASE}display: ${display}\n`);
    mkdirSync(join(machine.dir, 'run'), { mode: 0o700 });
    expect((await machine.start()).err).toContain(`\n  ${told}\n`);
  });
});

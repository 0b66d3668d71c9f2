import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { Machine } from './machine.ts';

const FOLDER = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const PAGES = 64;

function read(name: string): number {
  try {
    return Number(readFileSync(join(FOLDER, name), 'latin1'));
  } catch {
    return Number.NaN;
  }
}

/** Sets pages aside where that is allowed, and there is memory for them in one piece. */
function setAside(pages: number): boolean {
  try {
    writeFileSync(join(FOLDER, 'nr_hugepages'), String(pages));
    return read('nr_hugepages') >= pages;
  } catch {
    return false;
  }
}

const before = read('nr_hugepages');
const possible = setAside(before + PAGES);
setAside(before);

let machine: Machine;
beforeAll(() => void (possible && setAside(before + PAGES)));
afterAll(() => void (possible && setAside(before)));
afterEach(() => machine.remove());

/** Bytes of huge pages that a process has mapped. */
function hugeBytes(pid: number | undefined): number {
  const found = readFileSync(`/proc/${pid}/smaps`, 'latin1').matchAll(/^(?:Shared|Private)_Hugetlb:\s+(\d+) kB$/gm);
  return [...found].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
}

const VM = 'template: linux\nprofiles: [headless]\nfirmware: bios\ndisks: [disk.raw]\n';

describe.skipIf(!possible)(`huge pages${possible ? '' : ' (left out: none can be set aside here)'}`, () => {
  it.each([
    ['of the whole VM', 'memory: { type: memfd, size: 128M, huge-pages: 2M, prealloc: on }\n'],
    [
      'of its nodes',
      'memory: 128M\nnuma: [{ type: memfd, memory: 64M, cpus: "0", huge-pages: 2M, prealloc: on }, { type: memfd, memory: 64M, cpus: "1", huge-pages: 2M, prealloc: on }]\n',
    ],
  ])('hold the memory %s', async (_, memory) => {
    machine = new Machine(`${VM}${memory}`);
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    await machine.start();
    await machine.waitFor('EZVM-UP');
    expect(hugeBytes((await machine.status()).pid)).toBe(128 * 2 ** 20);
    expect(read('free_hugepages')).toBe(before);
  });

  it('are told to be too few before anything is started', async () => {
    machine = new Machine(`${VM}memory: { type: memfd, size: 1G, huge-pages: 2M }\n`);
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    const { exit, err } = await machine.ezvm('check', machine.file);
    expect(exit).toBe(3);
    expect(err).toContain(`1G in pages of 2M are 512 pages, and ${PAGES + before} are free`);
    expect(err).toContain('nr_hugepages');
  });
});

import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { writeGuestDisk } from '../guests/boot-sector.ts';
import { Machine } from './machine.ts';

let machine: Machine;
afterEach(() => machine.remove());

describe('accel: auto', () => {
  // Where KVM works is tested by the tier l1, which brings a machine of its own where it does.
  it('takes KVM where it works, else runs without it and says why', async () => {
    machine = new Machine('template: other\nprofiles: [headless]\ndisks: [disk.raw]\n');
    writeGuestDisk(join(machine.dir, 'disk.raw'), 'plain');
    const { kvm } = JSON.parse((await machine.ezvm('facts')).out) as { kvm: { usable: boolean; reason?: string } };
    const { err } = await machine.start();
    await machine.waitFor('EZVM-UP');
    const answer = JSON.parse((await machine.ezvm('qmp', 'vm', 'query-kvm')).out) as { enabled: boolean };
    expect(answer.enabled).toBe(kvm.usable);
    if (!kvm.usable) {
      expect(kvm.reason).toMatch(/\w/);
      expect(err).toContain('without KVM');
      expect(err).toContain(kvm.reason);
    }
  });
});

import { accessSync, constants, statSync } from 'node:fs';
import type { AcceleratorFacts } from './facts.ts';
import { groupName } from './group.ts';

/** What can be seen of KVM without starting a VM. */
export interface KvmDevice {
  /** Changes whenever the answer to "does KVM work?" may have changed. */
  readonly key: string;
  /** Set when it certainly does not work. */
  readonly fault?: AcceleratorFacts;
}

/** Looks at /dev/kvm; `user` is the name to mend its permissions for. */
export function lookAtKvm(user: string, device = '/dev/kvm'): KvmDevice {
  const found = statSync(device, { bigint: true, throwIfNoEntry: false });
  if (!found)
    return {
      key: 'missing',
      fault: {
        usable: false,
        reason: `there is no ${device}`,
        help: 'turn on virtualization (VT-x, AMD-V or SVM) in the firmware setup, then load the kernel module: sudo modprobe kvm_intel (or kvm_amd)',
      },
    };
  const key = `${found.rdev} ${found.uid} ${found.gid} ${found.mode} ${found.ctimeNs}`;
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return { key };
  } catch {
    const group = groupName(Number(found.gid));
    const mode = (found.mode & 0o777n).toString(8).padStart(4, '0');
    const help =
      (found.mode & 0o060n) === 0o060n
        ? `add yourself to the group ${group}: sudo usermod -aG ${group} ${user}; then log in again`
        : `make it the group kvm's: sudo chgrp kvm ${device} && sudo chmod 0660 ${device}`;
    return {
      key: `${key} closed`,
      fault: {
        usable: false,
        reason: `${user} may not read and write ${device} (group ${group}, mode ${mode})`,
        help,
      },
    };
  }
}

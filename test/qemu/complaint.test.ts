import { describe, expect, it } from 'vitest';
import { findComplaint } from '../../src/qemu/complaint.ts';

describe('findComplaint', () => {
  it.each([
    ['', undefined],
    ['\n \r\n', undefined],
    [
      "qemu-system-x86_64: -device nope: 'nope' is not a valid device model name\n",
      "-device nope: 'nope' is not a valid device model name",
    ],
    [
      "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nqemu-system-x86_64: ../../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion `ret' failed.\n",
      'failed to set MSR 0x10a to 0x69',
    ],
    [
      "qemu: module ui-ui-gtk not found, do you want to install qemu-system-gui package?\nqemu-system-x86_64: Display 'gtk' is not available.\n",
      "Display 'gtk' is not available.",
    ],
    [
      "/usr/libexec/qemu-kvm: Could not open '/x: y': No such file\nqemu-kvm: warning: host doesn't support requested feature\n",
      "Could not open '/x: y': No such file",
    ],
    [
      'Could not access KVM kernel module: Permission denied\n',
      'Could not access KVM kernel module: Permission denied',
    ],
    ['a: warning: w\naudio: Unknown audio driver `pa`\n', 'audio: Unknown audio driver `pa`'],
  ])('of %j is %j', (stderr, complaint) => {
    expect(findComplaint(stderr)).toBe(complaint);
  });
});

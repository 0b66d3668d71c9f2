#include "pci.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "files.h"
#include "paths.h"
#include "pci-use.h"
#include "report.h"

#define CLASS_BRIDGE 0x06

int open_pci(const char *address) {
  char path[SYSFS_ROOM];
  snprintf(path, sizeof path, EZVM_PRIV_SYS "/bus/pci/devices/%s", address);
  return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool read_attribute(int folder, const char *name, unsigned digits, uint32_t *value) {
  char text[32];
  return read_file(folder, name, text, sizeof text) && starts_with(text, "0x") && read_hex(text + 2, digits, value) &&
         text[2 + digits] == 0;
}

/* Whether a file of sysfs says anything but 0. */
static bool is_set(int folder, const char *name) {
  char text[8];
  return read_file(folder, name, text, sizeof text) && strcmp(text, "0") != 0;
}

/* Names of drivers become parts of paths and are written down between blanks. */
static bool read_driver(int folder, char *driver) {
  if (!read_link_name(folder, "driver", driver, DRIVER_ROOM)) {
    driver[0] = 0;
    return faccessat(folder, "driver", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  }
  return is_plain_name(driver, DRIVER_ROOM);
}

static bool read_override(int folder, char *override) {
  if (!read_file(folder, "driver_override", override, DRIVER_ROOM)) return false;
  if (strcmp(override, "(null)") == 0) override[0] = 0;
  return !*override || is_plain_name(override, DRIVER_ROOM);
}

bool read_pci_device(const char *address, struct pci_device *device) {
  int folder = open_pci(address);
  uint64_t group;
  memset(device, 0, sizeof *device);
  if (folder < 0) return false;
  char count[16];
  bool good = copy_text(device->address, sizeof device->address, address) &&
              read_attribute(folder, "vendor", 4, &device->vendor) &&
              read_attribute(folder, "device", 4, &device->device) &&
              read_attribute(folder, "class", 6, &device->class) && read_driver(folder, device->driver) &&
              read_override(folder, device->override);
  if (read_link_name(folder, "iommu_group", device->group, sizeof device->group))
    good = good && read_number(device->group, UINT32_MAX, &group);
  else
    device->group[0] = 0;
  device->is_boot_display = is_set(folder, "boot_vga") || is_set(folder, "boot_display");
  if (read_file(folder, "sriov_numvfs", count, sizeof count))
    good = good && read_number(count, UINT32_MAX, &device->virtual_functions);
  close(folder);
  return good;
}

/* Whether one line allows all of this; the last line that nearly does says what is missing. */
static int decide(const struct policy *policy, const struct pci_device *device) {
  const struct rule *nearest = NULL;
  bool bind = *device->driver && strcmp(device->driver, VFIO_DRIVER) != 0;
  for (const struct rule *rule = NULL; (rule = allowed(policy, PCI, device->address, rule)) != NULL;) {
    bool same = rule->vendor == device->vendor && rule->device == device->device;
    if (same && (rule->bind || !bind) && (rule->boot_display || !device->is_boot_display)) return DONE;
    if (!nearest || same) nearest = rule;
  }
  if (!nearest) return refuse(DENIED, "PCI device %s: the policy does not allow it", device->address);
  if (nearest->vendor != device->vendor || nearest->device != device->device)
    return refuse(DENIED, "PCI device %s is %04x:%04x and the policy means %04x:%04x; other hardware may have moved it: "
                          "look with lspci -nn, and ask the administrator to mend line %u", device->address,
                  device->vendor, device->device, nearest->vendor, nearest->device, nearest->line);
  if (device->is_boot_display && !nearest->boot_display)
    return refuse(DENIED, "PCI device %s is the display the machine started with, which would go dark; pass another, or "
                          "ask the administrator for boot-display at the end of line %u", device->address,
                  nearest->line);
  return refuse(DENIED, "PCI device %s is the host's through driver %s, and the policy does not let you take it from it; "
                        "have it bound to vfio-pci at boot, or ask the administrator for bind at the end of line %u",
                device->address, device->driver, nearest->line);
}

/* Whether the caller could ask for a device that is VFIO's already. */
static bool is_allowed(const struct policy *policy, const struct pci_device *device) {
  for (const struct rule *rule = NULL; (rule = allowed(policy, PCI, device->address, rule)) != NULL;)
    if (rule->vendor == device->vendor && rule->device == device->device &&
        (rule->boot_display || !device->is_boot_display))
      return true;
  return false;
}

/* The kernel gives a group away only whole: nobody else may drive a part of it, and who opens its node gets whatever of it
 * is bound to vfio-pci, now or later. */
static int check_member(const struct policy *policy, const struct request *request, const struct pci_device *device,
                        const char *other) {
  struct pci_device member;
  if (strcmp(other, device->address) == 0 || wants_pci(request, other)) return DONE;
  if (!read_pci_device(other, &member))
    return refuse(DENIED, "IOMMU group %s of PCI device %s has a part %s that cannot be looked at; see dmesg",
                  device->group, device->address, other);
  bool bridge = member.class >> 16 == CLASS_BRIDGE;
  if (bridge && (!*member.driver || strcmp(member.driver, "pcieport") == 0)) return DONE;
  const struct rule *rule = denied(policy, PCI, other);
  if (rule)
    return refuse(DENIED, "PCI device %s shares IOMMU group %s with %s, which line %u of the policy denies; put the card in "
                          "another slot, or ask the administrator", device->address, device->group, other, rule->line);
  if (!*member.driver || strcmp(member.driver, "pci-stub") == 0) return DONE;
  if (strcmp(member.driver, VFIO_DRIVER) == 0) {
    if (is_allowed(policy, &member)) return DONE;
    return refuse(DENIED, "PCI device %s shares IOMMU group %s with %s, which is bound to vfio-pci and would be open to you "
                          "too; if a VM left it so, have its user run: ezvm-priv release; or ask the administrator for "
                          "the line: allow uid:%u pci %s %04x:%04x%s", device->address, device->group, other,
                  (unsigned)caller.uid, other, member.vendor, member.device,
                  member.is_boot_display ? " boot-display" : "");
  }
  return refuse(DENIED, "PCI device %s shares IOMMU group %s with %s, which the host uses through driver %s; pass both to "
                        "the VM, or put the card in another slot", device->address, device->group, other, member.driver);
}

int check_group(const struct policy *policy, const struct request *request, const struct pci_device *device) {
  char path[SYSFS_ROOM];
  int code = DONE;
  struct listing list;
  snprintf(path, sizeof path, EZVM_PRIV_SYS "/kernel/iommu_groups/%s/devices", device->group);
  if (!list_start(&list, AT_FDCWD, path))
    return refuse(ABSENT, "cannot look at IOMMU group %s of PCI device %s; see dmesg", device->group, device->address);
  for (const char *name; (name = list_next(&list)) != NULL && code == DONE;)
    code = check_member(policy, request, device, name);
  list_end(&list);
  if (code == DONE && list.failed)
    code = refuse(BROKEN, "cannot look at all of IOMMU group %s; see dmesg", device->group);
  return code;
}

static int check_kind(const struct pci_device *device) {
  if (device->class >> 16 == CLASS_BRIDGE)
    return refuse(DENIED, "PCI device %s is a bridge, which belongs to the host; pass what is behind it", device->address);
  if (!*device->group)
    return refuse(ABSENT, "PCI device %s has no IOMMU group; turn on VT-d or AMD-Vi in the firmware, and for Intel add "
                          "intel_iommu=on to the kernel's command line", device->address);
  if (device->virtual_functions > 0)
    return refuse(BUSY, "PCI device %s has virtual functions, which would go with it; pass one of these, or as root write "
                        "0 into its sriov_numvfs", device->address);
  return DONE;
}

int check_pci(const struct policy *policy, const struct request *request, const struct grant *grant,
              struct pci_device *device) {
  const struct rule *rule = denied(policy, PCI, grant->what);
  if (rule)
    return refuse(DENIED, "PCI device %s: line %u of the policy denies it; ask the administrator", grant->what,
                  rule->line);
  if (!allowed(policy, PCI, grant->what, NULL))
    return refuse(DENIED, "PCI device %s: the policy does not allow it; ask the administrator for the line: allow uid:%u "
                          "pci %s VENDOR:DEVICE bind, with the ids that lspci -nn shows", grant->what,
                  (unsigned)caller.uid, grant->what);
  if (!read_pci_device(grant->what, device))
    return refuse(ABSENT, "there is no PCI device %s, or sysfs tells nothing of it; look with: lspci -D", grant->what);
  int code = check_kind(device);
  if (code == DONE) code = decide(policy, device);
  if (code == DONE) code = check_group(policy, request, device);
  if (code == DONE && strcmp(device->driver, VFIO_DRIVER) != 0) {
    if (faccessat(AT_FDCWD, EZVM_PRIV_SYS "/bus/pci/drivers/" VFIO_DRIVER, F_OK, 0) != 0)
      code = refuse(ABSENT, "the driver vfio-pci is not loaded; as root, run: modprobe vfio-pci");
    else if (*device->driver)
      code = check_unused(device);
  }
  return code;
}

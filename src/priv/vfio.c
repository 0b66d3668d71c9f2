#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "bind.h"
#include "caller.h"
#include "files.h"
#include "open-files.h"
#include "paths.h"
#include "report.h"

#define IOMMU_NUMBER EZVM_PRIV_SYS "/class/misc/iommu/dev"

/* Opens the node below /dev that has the number which sysfs gives in the file `number`. */
static int open_node(const char *name, const char *number, int flags) {
  struct nodes expected = {.count = 0};
  struct stat status;
  add_node(&expected, AT_FDCWD, number);
  int dev = open(EZVM_PRIV_DEV, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dev < 0) return -1;
  int node = open_resolved(dev, name, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  close_keeping_errno(dev);
  if (node < 0) return -1;
  if (expected.count != 1 || fstat(node, &status) != 0 || !S_ISCHR(status.st_mode) ||
      status.st_rdev != expected.devices[0]) {
    close(node);
    errno = ENODEV;
    return -1;
  }
  if ((flags & O_PATH) != 0) return node;
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", node);
  int opened = open(path, flags | O_CLOEXEC | O_NOCTTY);
  close_keeping_errno(node);
  return opened;
}

static int open_group(const char *group, int flags) {
  char name[32], number[SYSFS_ROOM];
  snprintf(name, sizeof name, "vfio/%s", group);
  snprintf(number, sizeof number, EZVM_PRIV_SYS "/class/vfio/%s/dev", group);
  return open_node(name, number, flags);
}

/* "vfio3": the name of the device's own node. */
static bool find_device_node(const char *address, char *name, size_t room) {
  char path[SYSFS_ROOM];
  struct listing list;
  bool found = false;
  snprintf(path, sizeof path, EZVM_PRIV_SYS "/bus/pci/devices/%s/vfio-dev", address);
  if (!list_start(&list, AT_FDCWD, path)) return false;
  for (const char *entry; !found && (entry = list_next(&list)) != NULL;)
    found = starts_with(entry, "vfio") && is_plain_name(entry, room) && copy_text(name, room, entry);
  list_end(&list);
  return found;
}

static void name_device_number(const char *address, const char *name, char *path, size_t room) {
  snprintf(path, room, EZVM_PRIV_SYS "/bus/pci/devices/%s/vfio-dev/%s/dev", address, name);
}

int check_iommufd(void) {
  if (faccessat(AT_FDCWD, IOMMU_NUMBER, F_OK, 0) == 0) return DONE;
  return refuse(ABSENT, "this kernel has no iommufd, or its module is not loaded; ask for --pci=ADDRESS without "
                        "--iommufd, or as root run: modprobe iommufd");
}

int check_group_unused(const struct record *record) {
  struct nodes nodes = {.count = 0};
  char name[32], path[SYSFS_ROOM], process[64];
  int group = open_group(record->group, O_RDWR); /* the kernel lets a group be opened once */
  bool busy = group < 0 && errno == EBUSY;
  if (group >= 0) close(group);
  for (unsigned i = 0; i < record->count; i++) {
    if (!find_device_node(record->taken[i].address, name, sizeof name)) continue;
    name_device_number(record->taken[i].address, name, path, sizeof path);
    add_node(&nodes, AT_FDCWD, path);
  }
  pid_t user = find_user_of(&nodes, process, sizeof process);
  if (busy || user < 0)
    return refuse(BUSY, "IOMMU group %s is in use, by another VM it seems; stop that first", record->group);
  if (user > 0)
    return refuse(BUSY, "IOMMU group %s is in use by %s (process %d); stop that first", record->group, process,
                  (int)user);
  return DONE;
}

int give_group_node(struct record *record) {
  int node = -1;
  struct stat status;
  for (int i = 0; i < PAUSES_MAX && (node = open_group(record->group, O_PATH)) < 0; i++) pause_shortly();
  if (node < 0 || fstat(node, &status) != 0)
    return refuse(BROKEN, "there is no " EZVM_PRIV_DEV "/vfio/%s, which vfio-pci should have made; see dmesg",
                  record->group);
  int code = DONE;
  if (!record->node_given) {
    record->node_given = true;
    record->node_mode = status.st_mode & 0777;
    code = write_record(record);
  }
  /* An earlier holder can open it no more from here on; whether he has it open is looked at then. */
  bool changed = code != DONE || let_out(node, record->node_mode);
  if (code == DONE && changed) code = check_group_unused(record);
  if (code == DONE && changed) changed = let_in(node, caller.uid, record->node_mode);
  close_keeping_errno(node);
  if (changed) return code;
  return refuse(BROKEN, "cannot let you open " EZVM_PRIV_DEV "/vfio/%s: %s; /dev needs access lists (ACLs)", record->group,
                strerror(errno));
}

int take_group_node(const struct record *record) {
  if (!record->node_given) return check_group_unused(record);
  int node = open_group(record->group, O_PATH);
  if (node < 0) return DONE; /* it goes with the last device that is bound to vfio-pci */
  int code = let_out(node, record->node_mode)
                 ? check_group_unused(record)
                 : refuse(BROKEN, "cannot take back " EZVM_PRIV_DEV "/vfio/%s: %s; report this", record->group,
                          strerror(errno));
  close(node);
  return code;
}

int open_device_node(struct grant *grant) {
  char name[32], node[64], number[SYSFS_ROOM];
  int opened = -1;
  for (int i = 0; i < PAUSES_MAX && opened < 0; i++) {
    if (i > 0) pause_shortly();
    if (!find_device_node(grant->what, name, sizeof name)) continue;
    snprintf(node, sizeof node, "vfio/devices/%s", name);
    name_device_number(grant->what, name, number, sizeof number);
    opened = open_node(node, number, O_RDWR);
  }
  grant->handed[0].opened = opened;
  if (opened >= 0) return DONE;
  return refuse(ABSENT, "PCI device %s has no node in " EZVM_PRIV_DEV "/vfio/devices: this kernel knows groups only; ask "
                        "for --pci=ADDRESS without --iommufd", grant->what);
}

int open_iommufd(struct request *request) {
  request->iommu.opened = open_node("iommu", IOMMU_NUMBER, O_RDWR);
  if (request->iommu.opened >= 0) return DONE;
  return refuse(BROKEN, "cannot open " EZVM_PRIV_DEV "/iommu: %s; ask for --pci=ADDRESS without --iommufd",
                strerror(errno));
}

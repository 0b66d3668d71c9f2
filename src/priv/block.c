#include "block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "caller.h"
#include "files.h"
#include "paths.h"
#include "report.h"

/* Stays on the file system of /dev: no link and no mount below it, such as /dev/shm, leads elsewhere. */
#define WITHIN (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV)
#define DEPTH_MAX 8

static int open_dev(void) { return open(EZVM_PRIV_DEV, O_PATH | O_DIRECTORY | O_CLOEXEC); }

/* "/dev/a/b" as "a/b" */
static const char *below_dev(const char *path) { return path + sizeof "/dev/" - 1; }

/* Each folder on the way is root's alone: who may write one could put any link there. */
static bool way_is_roots(int dev, const char *path) {
  char folder[PATH_ROOM];
  struct stat status;
  if (fstat(dev, &status) != 0 || status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return false;
  for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
    size_t size = (size_t)(slash - path);
    memcpy(folder, path, size);
    folder[size] = 0;
    int opened = open_resolved(dev, folder, O_PATH | O_DIRECTORY, WITHIN | RESOLVE_NO_SYMLINKS);
    if (opened < 0) return errno == ENOENT; /* which opening the device then reports */
    bool good = fstat(opened, &status) == 0 && status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    close(opened);
    if (!good) return false;
  }
  return true;
}

/* Whether any node that a pattern names is this device: a disk has many names, and all are denied by one of them. */
static bool names_device(int folder, const char *pattern, dev_t device, unsigned depth) {
  char part[PATH_ROOM];
  size_t size = strcspn(pattern, "/");
  bool last = pattern[size] == 0, found = false;
  memcpy(part, pattern, size);
  part[size] = 0;
  struct listing list;
  const char *name = part;
  bool listed = strpbrk(part, "*?") != NULL;
  if (listed && !list_start(&list, folder, ".")) return errno != ENOENT; /* what cannot be looked at is denied */
  if (listed) name = list_next(&list);
  for (; name && !found; name = listed ? list_next(&list) : NULL) {
    struct stat status;
    if (listed && !matches(part, name)) continue;
    if (last) {
      found = fstatat(folder, name, &status, 0) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == device;
      continue;
    }
    int next = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (next < 0) continue;
    found = depth == DEPTH_MAX || names_device(next, pattern + size + 1, device, depth + 1);
    close(next);
  }
  if (listed) {
    found = found || list.failed;
    list_end(&list);
  }
  return found;
}

static const struct rule *denied_by_another_name(const struct policy *policy, int dev, dev_t device) {
  for (unsigned i = 0; i < policy->count; i++) {
    const struct rule *rule = &policy->rules[i];
    if (rule->deny && rule->concerns && rule->kind == BLOCK && names_device(dev, below_dev(rule->what), device, 0))
      return rule;
  }
  return NULL;
}

static int decide(const struct policy *policy, const struct grant *grant) {
  const struct rule *rule = denied(policy, BLOCK, grant->what);
  if (rule)
    return refuse(DENIED, "block device %s: line %u of the policy denies it; ask the administrator", grant->what,
                  rule->line);
  const struct rule *read_only = rule = allowed(policy, BLOCK, grant->what, NULL);
  while (rule && grant->writable && !rule->writable) rule = allowed(policy, BLOCK, grant->what, rule);
  if (rule) return DONE;
  if (read_only)
    return refuse(DENIED, "block device %s: the policy lets you read it only; ask for ro, or ask the administrator for: "
                          "allow uid:%u block %s rw", grant->what, (unsigned)caller.uid, grant->what);
  return refuse(DENIED, "block device %s: the policy does not allow it; ask the administrator for the line: allow uid:%u "
                        "block %s %s", grant->what, (unsigned)caller.uid, grant->what, grant->writable ? "rw" : "ro");
}

static int cannot_open(const struct grant *grant, int error) {
  switch (error) {
    case EBUSY:
      return refuse(BUSY, "block device %s is in use: mounted, swap, part of LVM, RAID or encryption, or another VM's; "
                          "unmount it or stop what uses it", grant->what);
    case ENOENT:
    case ENXIO:
    case ENODEV:
      return refuse(ABSENT, "there is no block device %s; check the name, and whether the disk is plugged in or the "
                            "volume active", grant->what);
    case ENOMEDIUM: return refuse(ABSENT, "block device %s has no medium; insert one", grant->what);
    case EXDEV:
    case ELOOP:
      return refuse(DENIED, "block device %s leads out of /dev, or in a circle; name the device itself", grant->what);
    case EROFS:
    case EACCES:
      return refuse(DENIED, "block device %s cannot be written; ask for ro", grant->what);
    case EINVAL: return refuse(BROKEN, "block device %s cannot be opened so; ask for it without +direct", grant->what);
    default: return refuse(BROKEN, "cannot open block device %s: %s; see dmesg", grant->what, strerror(error));
  }
}

/* Opens the very node that was looked at, whatever its name leads to by now. */
static int open_node(int node, const struct grant *grant) {
  char path[32];
  int flags = (grant->writable ? O_RDWR : O_RDONLY) | (grant->direct ? O_DIRECT : 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", node);
  int opened = open(path, flags | O_EXCL | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (opened < 0) return -1;
  int now = fcntl(opened, F_GETFL), fixed = 0;
  if (grant->writable && ioctl(opened, BLKROGET, &fixed) == 0 && fixed)
    errno = EROFS; /* newer kernels open it and refuse each write */
  else if (now >= 0 && fcntl(opened, F_SETFL, now & ~O_NONBLOCK) == 0)
    return opened;
  close_keeping_errno(opened);
  return -1;
}

static int open_allowed(const struct policy *policy, struct grant *grant, int dev) {
  struct stat status;
  if (!way_is_roots(dev, below_dev(grant->what)))
    return refuse(DENIED, "block device %s: a folder on the way is not root's alone, or a link; name the device "
                          "itself", grant->what);
  int node = open_resolved(dev, below_dev(grant->what), O_PATH, WITHIN);
  if (node < 0) return cannot_open(grant, errno);
  int code = DONE;
  const struct rule *rule;
  if (fstat(node, &status) != 0 || !S_ISBLK(status.st_mode))
    code = refuse(DENIED, "%s is no block device; name one", grant->what);
  else if ((rule = denied_by_another_name(policy, dev, status.st_rdev)) != NULL)
    code = refuse(DENIED, "block device %s: line %u of the policy denies it under another name; ask the administrator",
                  grant->what, rule->line);
  else if ((grant->handed[0].opened = open_node(node, grant)) < 0)
    code = cannot_open(grant, errno);
  close(node);
  if (code != DONE) return code;
  grant->device = status.st_rdev;
  struct stat opened;
  if (fstat(grant->handed[0].opened, &opened) != 0 || opened.st_rdev != status.st_rdev)
    return refuse(BROKEN, "block device %s changed while it was opened; try again", grant->what);
  return DONE;
}

int open_block(const struct policy *policy, struct grant *grant) {
  int code = decide(policy, grant);
  if (code != DONE) return code;
  int dev = open_dev();
  if (dev < 0) return refuse(BROKEN, "cannot open " EZVM_PRIV_DEV ": %s; report this", strerror(errno));
  code = open_allowed(policy, grant, dev);
  close(dev);
  return code;
}

bool block_in_use(const char *name) {
  int dev = open_dev();
  if (dev < 0) return true;
  int node = open_resolved(dev, name, O_RDONLY | O_EXCL | O_NONBLOCK | O_NOCTTY, WITHIN);
  close_keeping_errno(dev);
  if (node >= 0) close(node);
  /* A drive without medium and a device that is just going are not in use; whatever else fails may be. */
  return node < 0 && errno != ENOMEDIUM && errno != ENXIO && errno != ENODEV && errno != ENOENT;
}

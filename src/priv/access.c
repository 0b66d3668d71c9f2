#include "access.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define LIST "system.posix_acl_access"
#define READ_WRITE (ACL_READ | ACL_WRITE)
#define NOBODY UINT32_MAX /* ACL_UNDEFINED_ID, without a sign */
#define ENTRIES 5

/* The way to a node that is open by O_PATH alone. */
struct way {
  char path[32];
};

static struct way way_to(int node) {
  struct way way;
  snprintf(way.path, sizeof way.path, "/proc/self/fd/%d", node);
  return way;
}

static struct posix_acl_xattr_entry entry(unsigned tag, unsigned rights, uint32_t id) {
  struct posix_acl_xattr_entry entry = {
      .e_tag = htole16((uint16_t)tag), .e_perm = htole16((uint16_t)rights), .e_id = htole32(id)};
  return entry;
}

bool let_in(int node, uid_t user, mode_t mode) {
  struct way way = way_to(node);
  /* In the kernel's order; the mask bounds the user and the group. */
  struct {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entries[ENTRIES];
  } list = {
      .header = {.a_version = htole32(POSIX_ACL_XATTR_VERSION)},
      .entries = {entry(ACL_USER_OBJ, mode >> 6 & 7, NOBODY), entry(ACL_USER, READ_WRITE, user),
                  entry(ACL_GROUP_OBJ, mode >> 3 & 7, NOBODY), entry(ACL_MASK, READ_WRITE, NOBODY),
                  entry(ACL_OTHER, mode & 7, NOBODY)},
  };
  return setxattr(way.path, LIST, &list, sizeof list, 0) == 0;
}

bool let_out(int node, mode_t mode) {
  struct way way = way_to(node);
  if (removexattr(way.path, LIST) != 0 && errno != ENODATA && errno != EOPNOTSUPP) return false;
  return chmod(way.path, mode) == 0;
}

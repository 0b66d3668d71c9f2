#include "open-files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"
#include "text.h"

void add_device(struct nodes *nodes, dev_t device) {
  if (nodes->count < NODES_MAX)
    nodes->devices[nodes->count++] = device;
  else
    nodes->too_many = true;
}

void add_node(struct nodes *nodes, int folder, const char *file) {
  char text[32], *minor_text = text;
  uint64_t major_number, minor_number;
  if (!read_file(folder, file, text, sizeof text)) return;
  const char *major_text = strsep(&minor_text, ":");
  if (minor_text && read_number(major_text, UINT32_MAX, &major_number) &&
      read_number(minor_text, UINT32_MAX, &minor_number))
    add_device(nodes, makedev((unsigned)major_number, (unsigned)minor_number));
}

static bool is_one_of(const struct nodes *nodes, const struct stat *status) {
  if (!S_ISCHR(status->st_mode)) return false;
  for (unsigned i = 0; i < nodes->count; i++)
    if (nodes->devices[i] == status->st_rdev) return true;
  return false;
}

/* Only what is called a device is asked for its number: anything else may lie on a file system that does not answer. */
static bool has_open(int process, const struct nodes *nodes, bool *failed) {
  struct listing list;
  char target[PATH_ROOM];
  struct stat status;
  bool found = false;
  if (!list_start(&list, process, "fd")) {
    *failed = faccessat(process, "stat", F_OK, 0) == 0; /* it has not just ended */
    return false;
  }
  for (const char *name; !found && (name = list_next(&list)) != NULL;)
    found = read_link(list.folder, name, target, sizeof target) && starts_with(target, "/dev/") &&
            fstatat(list.folder, name, &status, 0) == 0 && is_one_of(nodes, &status);
  list_end(&list);
  return found;
}

pid_t find_user_of(const struct nodes *nodes, char *name, size_t room) {
  struct listing list;
  uint64_t pid;
  pid_t user = 0;
  bool failed = false;
  if (nodes->too_many) return -1;
  if (nodes->count == 0) return 0;
  if (!list_start(&list, AT_FDCWD, "/proc")) return -1;
  for (const char *entry; user == 0 && (entry = list_next(&list)) != NULL;) {
    if (!read_number(entry, INT32_MAX, &pid) || (pid_t)pid == getpid()) continue;
    int process = openat(list.folder, entry, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0) continue; /* it has just ended */
    if (has_open(process, nodes, &failed)) {
      user = (pid_t)pid;
      if (!read_file(process, "comm", name, room)) (void)copy_text(name, room, "?");
    }
    close(process);
  }
  list_end(&list);
  return user == 0 && (failed || list.failed) ? -1 : user;
}

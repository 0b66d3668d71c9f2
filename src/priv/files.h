/* Files and folders of root's, opened without following what others may have put there. */
#ifndef EZVM_PRIV_FILES_H
#define EZVM_PRIV_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* For the way out of what has failed, or has not. */
void close_keeping_errno(int descriptor);
/* openat2(2) with O_CLOEXEC. `resolve` takes RESOLVE_*. */
int open_resolved(int folder, const char *path, int flags, uint64_t resolve);
/* A file or folder that nobody but root can change or put another in the place of: each part of the absolute `path` is
 * root's, no link, and not for others to write. Says what is wrong under the name `what` and gives its code. */
int open_roots(const char *path, int flags, const char *what, int code, int *opened);
/* A small text file, without its last newline. False when it cannot be read or is too large. */
bool read_file(int folder, const char *path, char *text, size_t room);
/* Writes a text in one go into a file that exists. False, with errno, when that failed. */
bool write_file(int folder, const char *path, const char *text);
/* Where a link leads, whole. */
bool read_link(int folder, const char *path, char *target, size_t room);
/* The last part of where a link leads: sysfs says so which driver or group something has. */
bool read_link_name(int folder, const char *path, char *name, size_t room);

/* Goes through the names in a folder without using the heap. Use it as:
 *   struct listing list; if (list_start(&list, folder, path)) { while ((name = list_next(&list))) …; list_end(&list); } */
struct listing {
  int folder;
  bool failed; /* after the last name: not all could be read */
  size_t used, size;
  uint64_t entries[512];
};
bool list_start(struct listing *list, int folder, const char *path);
const char *list_next(struct listing *list);
void list_end(struct listing *list);

#endif

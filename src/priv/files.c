#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "report.h"
#include "text.h"

void close_keeping_errno(int descriptor) {
  int error = errno;
  close(descriptor);
  errno = error;
}

int open_resolved(int folder, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = resolve};
  return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static int check_roots(int file, const char *path, const char *what, int code) {
  struct stat status;
  if (fstat(file, &status) != 0) return refuse(code, "cannot look at %s %s: %s", what, path, strerror(errno));
  if (status.st_uid != 0)
    return refuse(code, "%s: %s is not root's; run: chown root:root %s", what, path, path);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refuse(code, "%s: others than root may write %s; run: chmod go-w %s", what, path, path);
  return DONE;
}

int open_roots(const char *path, int flags, const char *what, int code, int *opened) {
  char so_far[PATH_ROOM];
  if (!is_plain_path(path) || !copy_text(so_far, sizeof so_far, path))
    return refuse(code, "%s: %s is no plain path; build the helper with another", what, path);
  int folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return refuse(code, "cannot open /: %s; report this", strerror(errno));
  int fault = check_roots(folder, "/", what, code);
  for (char *part = so_far + 1; fault == DONE;) {
    char *slash = strchr(part, '/');
    if (slash) *slash = 0;
    int next = openat(folder, part, (slash ? O_PATH | O_DIRECTORY : flags) | O_NOFOLLOW | O_CLOEXEC);
    close_keeping_errno(folder);
    if (next < 0) {
      if (errno == ELOOP || (slash && errno == ENOTDIR))
        return refuse(code, "%s: %s is a link or no folder; put a real one there", what, so_far);
      return refuse(code, "%s: cannot open %s: %s; run `ezvm setup helper` or make it as root", what, so_far,
                    strerror(errno));
    }
    fault = check_roots(next, so_far, what, code);
    if (fault == DONE && !slash) {
      *opened = next;
      return DONE;
    }
    folder = next;
    if (slash) {
      *slash = '/';
      part = slash + 1;
    }
  }
  close(folder);
  return fault;
}

bool read_file(int folder, const char *path, char *text, size_t room) {
  int file = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  size_t used = 0;
  ssize_t got = 0;
  while (used < room && (got = read(file, text + used, room - used)) > 0) used += (size_t)got;
  close(file);
  if (got < 0 || used == room) return false;
  if (used > 0 && text[used - 1] == '\n') used--;
  text[used] = 0;
  return true;
}

bool write_file(int folder, const char *path, const char *text) {
  int file = openat(folder, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (file < 0) return false;
  ssize_t written = write(file, text, strlen(text));
  close_keeping_errno(file);
  if (written >= 0) errno = EIO;
  return written == (ssize_t)strlen(text);
}

bool read_link(int folder, const char *path, char *target, size_t room) {
  ssize_t size = readlinkat(folder, path, target, room);
  if (size < 0 || (size_t)size >= room) return false;
  target[size] = 0;
  return true;
}

bool read_link_name(int folder, const char *path, char *name, size_t room) {
  char target[1024];
  if (!read_link(folder, path, target, sizeof target)) return false;
  const char *slash = strrchr(target, '/');
  return copy_text(name, room, slash ? slash + 1 : target);
}

/* As the kernel fills it in; glibc's opendir would use the heap. */
struct entry {
  uint64_t inode;
  int64_t offset;
  unsigned short size;
  unsigned char type;
  char name[];
};

bool list_start(struct listing *list, int folder, const char *path) {
  list->used = list->size = 0;
  list->failed = false;
  list->folder = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return list->folder >= 0;
}

const char *list_next(struct listing *list) {
  for (;;) {
    if (list->used >= list->size) {
      long size = syscall(SYS_getdents64, list->folder, list->entries, sizeof list->entries);
      list->failed = size < 0;
      if (size <= 0) return NULL;
      list->size = (size_t)size;
      list->used = 0;
    }
    const struct entry *entry = (const struct entry *)(const void *)((const char *)list->entries + list->used);
    list->used += entry->size;
    if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0) return entry->name;
  }
}

void list_end(struct listing *list) { close(list->folder); }

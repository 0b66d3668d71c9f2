#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "paths.h"
#include "process.h"
#include "report.h"

#define NAME_START "group-"
#define NONE "-"
#define LOCK_TRIES 250
#define LOCK_PAUSE 20000000 /* nanoseconds; five seconds in all */

int open_records(int *folder) {
  if (mkdir(EZVM_PRIV_RUN, 0700) != 0 && errno != EEXIST)
    return refuse(BROKEN, "cannot make " EZVM_PRIV_RUN ": %s; report this", strerror(errno));
  return open_roots(EZVM_PRIV_RUN, O_RDONLY | O_DIRECTORY, "records", BROKEN, folder);
}

static bool read_word(char **rest, const char *expected) {
  const char *word = strsep(rest, " ");
  return word && strcmp(word, expected) == 0;
}

static bool read_number_word(char **rest, uint64_t max, uint64_t *value) {
  const char *word = strsep(rest, " ");
  return word && read_number(word, max, value);
}

static bool read_driver_word(char **rest, char *driver) {
  const char *word = strsep(rest, " ");
  if (!word || (strcmp(word, NONE) != 0 && !is_plain_name(word, DRIVER_ROOM))) return false;
  return copy_text(driver, DRIVER_ROOM, strcmp(word, NONE) == 0 ? "" : word);
}

static bool read_device(struct record *record, char *line) {
  struct taken *taken = &record->taken[record->count];
  if (record->count == GRANTS_MAX || !read_word(&line, "device")) return false;
  const char *address = strsep(&line, " ");
  if (!address || !is_pci_address(address) || !copy_text(taken->address, sizeof taken->address, address) ||
      !read_driver_word(&line, taken->driver) || !read_driver_word(&line, taken->override) || line)
    return false;
  record->count++;
  return true;
}

/* Three octal digits. */
static bool read_mode(const char *text, mode_t *mode) {
  if (strlen(text) != 3 || strspn(text, "01234567") != 3) return false;
  *mode = (mode_t)((text[0] - '0') << 6 | (text[1] - '0') << 3 | (text[2] - '0'));
  return true;
}

/* "uid 1000", "vm win", "process 123 456", "node 600" or "node -", "device 0000:01:00.0 DRIVER OVERRIDE"… */
static bool read_lines(struct record *record, char *text) {
  uint64_t number, started;
  char *line = strsep(&text, "\n");
  if (!line || !read_word(&line, "uid") || !read_number_word(&line, UINT32_MAX - 1, &number) || line) return false;
  record->uid = (uid_t)number;
  line = strsep(&text, "\n");
  if (!line || !read_word(&line, "vm") || !line || !is_plain_name(line, VM_ROOM) ||
      !copy_text(record->vm, sizeof record->vm, line))
    return false;
  line = strsep(&text, "\n");
  if (!line || !read_word(&line, "process") || !read_number_word(&line, INT32_MAX, &number) ||
      !read_number_word(&line, UINT64_MAX, &started) || line)
    return false;
  record->pid = (pid_t)number;
  record->started = started;
  line = strsep(&text, "\n");
  if (!line || !read_word(&line, "node") || !line) return false;
  record->node_given = strcmp(line, NONE) != 0;
  if (record->node_given && !read_mode(line, &record->node_mode)) return false;
  while ((line = strsep(&text, "\n")) != NULL && *line)
    if (!read_device(record, line)) return false;
  return record->count > 0;
}

static bool read_record(struct record *record) {
  char text[RECORD_SIZE + 1];
  ssize_t size = pread(record->file, text, RECORD_SIZE, 0);
  if (size < 0) return false;
  text[size] = 0;
  record->held = size > 0;
  return !record->held || (strlen(text) == (size_t)size && read_lines(record, text));
}

static int open_file(int folder, const char *name, int flags) {
  return openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

static bool lock(int file) {
  for (int i = 0; i < LOCK_TRIES; i++) {
    struct timespec pause = {.tv_nsec = LOCK_PAUSE};
    if (flock(file, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    nanosleep(&pause, NULL);
  }
  return false;
}

int open_record(int folder, const char *group, struct record *record) {
  char name[sizeof NAME_START + GROUP_ROOM];
  memset(record, 0, sizeof *record);
  record->file = -1;
  snprintf(name, sizeof name, NAME_START "%s", group);
  if (!copy_text(record->group, sizeof record->group, group) || (record->file = open_file(folder, name, O_CREAT)) < 0)
    return refuse(BROKEN, "cannot open " EZVM_PRIV_RUN "/%s: %s; report this", name, strerror(errno));
  if (!lock(record->file))
    return refuse(BUSY, "another ezvm-priv is at work on IOMMU group %s; try again when it is done", group);
  if (!read_record(record))
    return refuse(BROKEN, "cannot make sense of " EZVM_PRIV_RUN "/%s; ask the administrator to look at it, and to remove "
                          "it once no VM uses that group's devices", name);
  return DONE;
}

bool peek_record(int folder, const char *name, struct record *record) {
  uint64_t group;
  memset(record, 0, sizeof *record);
  if (!starts_with(name, NAME_START) || !read_number(name + sizeof NAME_START - 1, UINT32_MAX, &group) ||
      !copy_text(record->group, sizeof record->group, name + sizeof NAME_START - 1))
    return false;
  record->file = open_file(folder, name, 0);
  if (record->file < 0) return false;
  bool good = read_record(record) && record->held;
  close_record(record);
  return good;
}

static const char *or_none(const char *driver) { return *driver ? driver : NONE; }

int write_record(struct record *record) {
  char text[RECORD_SIZE], mode[16] = NONE;
  if (record->node_given) snprintf(mode, sizeof mode, "%03o", (unsigned)record->node_mode);
  int used = snprintf(text, sizeof text, "uid %u\nvm %s\nprocess %d %llu\nnode %s\n", (unsigned)record->uid, record->vm,
                      (int)record->pid, (unsigned long long)record->started, mode);
  for (unsigned i = 0; i < record->count && used > 0 && (size_t)used < sizeof text; i++)
    used += snprintf(text + used, sizeof text - (size_t)used, "device %s %s %s\n", record->taken[i].address,
                     or_none(record->taken[i].driver), or_none(record->taken[i].override));
  if (used <= 0 || (size_t)used >= sizeof text)
    return refuse(BROKEN, "IOMMU group %s has too many devices for one record; report this", record->group);
  memset(text + used, '\n', sizeof text - (size_t)used);
  record->held = true;
  if (pwrite(record->file, text, sizeof text, 0) == (ssize_t)sizeof text) return DONE;
  return refuse(BROKEN, "cannot write into " EZVM_PRIV_RUN ": %s; make room there", strerror(errno));
}

int clear_record(struct record *record) {
  record->held = false;
  record->count = 0;
  if (ftruncate(record->file, 0) == 0) return DONE;
  return refuse(BROKEN, "cannot write into " EZVM_PRIV_RUN ": %s; report this", strerror(errno));
}

void close_record(struct record *record) {
  if (record->file >= 0) close(record->file);
  record->file = -1;
}

bool holder_runs(const struct record *record) {
  uint64_t started;
  return record->held && started_at(record->pid, &started) && started == record->started;
}

struct taken *find_taken(struct record *record, const char *address) {
  for (unsigned i = 0; i < record->count; i++)
    if (strcmp(record->taken[i].address, address) == 0) return &record->taken[i];
  return NULL;
}

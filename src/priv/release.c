#include "release.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "files.h"
#include "passthrough.h"
#include "paths.h"
#include "record.h"
#include "report.h"
#include "watch.h"

static bool is_asked(const struct request *request, const struct record *record) {
  return record->held && (caller_is_root() || record->uid == caller.uid) &&
         (!request->has_vm || strcmp(request->vm, record->vm) == 0);
}

static int release_locked(struct record *record) {
  if (holder_runs(record))
    return refuse(BUSY, "VM %s still runs (process %d) and has the devices of IOMMU group %s; stop it first", record->vm,
                  (int)record->pid, record->group);
  struct record was = *record;
  int code = release_record(record);
  for (unsigned i = 0; code == DONE && i < was.count; i++)
    say("released\t%s\t%s\t%s", was.vm, was.taken[i].address, *was.taken[i].driver ? was.taken[i].driver : "-");
  return code;
}

static int release_one(const struct request *request, int folder, const char *name) {
  static struct record record;
  /* Looked at first, so that nobody can hold the lock of what is not his. */
  if (!peek_record(folder, name, &record) || !is_asked(request, &record)) return DONE;
  char group[GROUP_ROOM];
  (void)copy_text(group, sizeof group, record.group);
  int code = open_record(folder, group, &record);
  if (code == DONE && is_asked(request, &record)) code = release_locked(&record);
  close_record(&record);
  return code;
}

static int watch_one(const struct request *request, int folder, const char *name) {
  static struct record record;
  if (!peek_record(folder, name, &record) || !is_asked(request, &record) || !holder_runs(&record)) return DONE;
  return watch_holder(&record);
}

typedef int (*act_on)(const struct request *request, int folder, const char *name);

static int for_each_record(const struct request *request, act_on act) {
  int folder = -1, first = DONE;
  struct listing list;
  if (faccessat(AT_FDCWD, EZVM_PRIV_RUN, F_OK, AT_SYMLINK_NOFOLLOW) != 0) return DONE;
  int code = open_records(&folder);
  if (code != DONE) return code;
  if (!list_start(&list, folder, ".")) {
    close(folder);
    return refuse(BROKEN, "cannot look into " EZVM_PRIV_RUN "; report this");
  }
  for (const char *name; (name = list_next(&list)) != NULL;) {
    code = act(request, folder, name);
    if (first == DONE) first = code;
  }
  list_end(&list);
  close(folder);
  return first;
}

int release(const struct request *request) {
  if (!request->wait) return for_each_record(request, release_one);
  if (caller_is_root()) return refuse(USAGE, "root need not wait; release what is out when its VM has ended");
  int code = for_each_record(request, watch_one);
  if (code != DONE) return code;
  release_afterwards(request);
}

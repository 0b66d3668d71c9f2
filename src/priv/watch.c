#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"
#include "report.h"

/* Of /proc/self/exe the kernel knows the file itself, whatever has become of its path. */
#define SELF "/proc/self/exe"
#define HOLDERS_MAX 64
#define EMPTY_PATH 0x1000 /* AT_EMPTY_PATH */

static struct pollfd holders[HOLDERS_MAX];
static unsigned holder_count;

int watch_holder(const struct record *record) {
  if (holder_count == HOLDERS_MAX)
    return refuse(BROKEN, "more than %d IOMMU groups are out; name the VM with --vm", HOLDERS_MAX);
  int holder = (int)syscall(SYS_pidfd_open, record->pid, 0U);
  if (holder < 0 && errno != ESRCH)
    return refuse(BROKEN, "cannot watch process %d: %s; report this", (int)record->pid, strerror(errno));
  if (holder < 0) return DONE;
  /* Its number may have become another process' meanwhile; what is open here is then that one. */
  if (!holder_runs(record)) {
    close(holder);
    return DONE;
  }
  holders[holder_count].fd = holder;
  holders[holder_count++].events = POLLIN;
  return DONE;
}

noreturn void release_afterwards(const struct request *request) {
  static char name[] = "ezvm-priv", verb[] = "release", vm[VM_ROOM + sizeof "--vm="];
  char *words[] = {name, verb, request->has_vm ? vm : NULL, NULL};
  snprintf(vm, sizeof vm, "--vm=%s", request->vm);
  int self = open(SELF, O_PATH | O_CLOEXEC);
  if (self < 0) finish(refuse(BROKEN, "cannot open " SELF ": %s; mount /proc", strerror(errno)));
  int code = step_down();
  if (code != DONE) finish(code);
  tell();
  restore_caller();
  for (unsigned i = 0; i < holder_count; i++)
    while (poll(&holders[i], 1, -1) < 0 && errno == EINTR) continue;
  (void)syscall(SYS_execveat, self, "", words, environ, EMPTY_PATH);
  finish(refuse(BROKEN, "cannot run the helper anew: %s; run: ezvm-priv release", strerror(errno)));
}

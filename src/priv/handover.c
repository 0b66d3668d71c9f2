#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "caller.h"
#include "report.h"

typedef bool (*act_on)(struct handed *handed);

/* Above all numbers that were asked for, so that none is overwritten before it is in its place. */
static bool move_away(struct handed *handed) {
  handed->opened = fcntl(handed->opened, F_DUPFD_CLOEXEC, DESCRIPTOR_MAX + 1);
  return handed->opened >= 0;
}

static bool put_in_place(struct handed *handed) {
  handed->opened = dup2(handed->opened, handed->wanted);
  return handed->opened >= 0;
}

static bool for_each(struct request *request, act_on act) {
  bool good = request->iommu.opened < 0 || act(&request->iommu);
  for (unsigned i = 0; i < request->count; i++)
    for (unsigned j = 0; j < QUEUES_MAX; j++) {
      struct handed *handed = &request->grants[i].handed[j], *vhost = &request->grants[i].vhosts[j];
      if (good && handed->opened >= 0) good = act(handed);
      if (good && vhost->opened >= 0) good = act(vhost);
    }
  return good;
}

static bool keep_callers(const struct request *request) {
  for (int i = DESCRIPTOR_MIN; i <= DESCRIPTOR_MAX; i++)
    if (request->keep[i] && fcntl(i, F_SETFD, 0) != 0) return false;
  return true;
}

static bool has_pci;

/* Giving devices back takes the rights that are gone. */
static noreturn void fail(int code) {
  if (has_pci) warn("the PCI devices stay the VM's until: ezvm-priv release");
  finish(code);
}

noreturn void run_program(struct request *request) {
  for (unsigned i = 0; i < request->count; i++) has_pci = has_pci || request->grants[i].kind == PCI;
  int code = become_caller();
  if (code != DONE) fail(code);
  if (!for_each(request, move_away) || !for_each(request, put_in_place) || !keep_callers(request))
    fail(refuse(BROKEN, "cannot put descriptors in their places: %s; raise the limit of open files (ulimit -n) above 400",
                strerror(errno)));
  tell();
  restore_caller();
  if (request->die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0) fail(refuse(BROKEN, "cannot follow the parent: %s", strerror(errno)));
    if (getppid() != caller.parent) fail(refuse(BROKEN, "the parent has ended already"));
  }
  execve(request->program[0], request->program, caller.environment);
  code = errno == ENOENT ? NOT_FOUND : NOT_RUN;
  fail(refuse(code, "cannot run %s: %s; install it anew", request->program[0], strerror(errno)));
}

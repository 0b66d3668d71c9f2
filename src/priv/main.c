/* ezvm-priv: opens what a root-owned policy allows to whoever calls, becomes that person for good, and runs QEMU. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"
#include "grants.h"
#include "handover.h"
#include "paths.h"
#include "policy.h"
#include "release.h"
#include "report.h"
#include "request.h"

/* Changed when callers have to be. */
#define INTERFACE 1

static struct request request;
static struct policy policy;

/* The caller's own right to run it is asked while the real uid is his. */
static int check_program(const char *program) {
  if (caller_may_run(program)) return DONE;
  return refuse(errno == ENOENT ? NOT_FOUND : NOT_RUN, "cannot run %s: %s; check its path, or install it", program,
                strerror(errno));
}

/* The caller's descriptors are of no use here but for those he wants kept, and might fill up the table. */
static void close_others(void) {
  for (int i = DESCRIPTOR_MIN; i <= DESCRIPTOR_MAX; i++)
    if (!request.keep[i]) close(i);
  (void)syscall(SYS_close_range, DESCRIPTOR_MAX + 1, ~0U, 0U);
}

/* Every line of the policy about the caller, as check without grants shows it. */
static void list_rules(void) {
  for (unsigned i = 0; i < policy.count; i++) {
    const struct rule *rule = &policy.rules[i];
    if (!rule->concerns) continue;
    const char *mode = rule->kind == BLOCK && !rule->deny ? (rule->writable ? "\trw" : "\tro") : "";
    say("%s\t%s\t%s%s%s%s%s", rule->deny ? "deny" : "allow", kind_name(rule->kind), rule->what, mode,
        rule->vhost ? "\tvhost" : "", rule->bind ? "\tbind" : "", rule->boot_display ? "\tboot-display" : "");
  }
}

static int check(void) {
  if (policy.unknown_line > 0)
    warn("policy " EZVM_PRIV_POLICY " line %u allows somebody whom /etc/passwd and /etc/group do not know; write uid:NUMBER "
         "or gid:NUMBER for names from elsewhere", policy.unknown_line);
  if (request.count == 0 && !request.program) {
    list_rules();
    return DONE;
  }
  refusals_are_answers();
  return decide_grants(&policy, &request);
}

static int refuse_root(void) {
  return refuse(USAGE, "called by root, who needs no helper; call it as the person the VM is for, for example: sudo -u NAME "
                       "ezvm-priv check");
}

int main(int argc, char **argv) {
  guard();
  int code = read_request(&request, argc, argv);
  if (code == DONE && request.verb == VERSION) say("ezvm-priv %d", INTERFACE);
  if (code == DONE && request.verb == HELP) say("%s", USAGE_TEXT);
  if (code != DONE || request.verb >= VERSION) finish(code);

  close_others();
  if (caller_is_root() && request.verb != RELEASE) finish(refuse_root());
  if (request.program) code = check_program(request.program[0]);
  if (code == DONE) code = become_root();
  if (code == DONE && request.verb == RELEASE) finish(release(&request));
  if (code == DONE) code = load_policy(&policy);
  if (code == DONE && request.verb == CHECK) finish(check());
  if (code == DONE) code = decide_grants(&policy, &request);
  if (code == DONE) code = take_grants(&policy, &request);
  if (code != DONE) finish(code);
  run_program(&request);
}

/* Who called, what is guarded against his doing meanwhile, and becoming him for good. */
#ifndef EZVM_PRIV_CALLER_H
#define EZVM_PRIV_CALLER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX */

struct caller {
  uid_t uid;
  gid_t gid;
  gid_t groups[GROUPS_MAX];
  int group_count;
  pid_t parent;
  char **environment;
};

extern struct caller caller;

/* The first thing done: descriptors 0 to 2 exist, all others close on exec, the environment is put aside, signals wait. */
void guard(void);
/* Nothing the caller may signal, trace, limit or name can come between, once this is DONE. */
int become_root(void);
/* For `release` by the administrator. */
bool caller_is_root(void);
bool caller_in_group(gid_t group);
/* The caller's own right to run a file, asked before become_root(). */
bool caller_may_run(const char *program);
/* Gives up every privilege for good and proves it. */
int become_caller(void);
/* The same for one who waits and then calls the helper again: what he starts may gain rights as before. */
int step_down(void);
/* What guard() and become_root() changed and the program must not see changed. After become_caller() or step_down(). */
void restore_caller(void);
/* For the end without a program: closes everything and becomes the caller as far as that goes. False when it failed. */
bool leave_everything(void);

#endif

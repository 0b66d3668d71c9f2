#include "memlock.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "caller.h"
#include "report.h"

int check_memlock(const struct policy *policy, const struct grant *grant) {
  uint64_t most = 0;
  const struct rule *rule = denied(policy, MEMLOCK, "any");
  if (rule) return refuse(DENIED, "locked memory: line %u of the policy denies it; ask the administrator", rule->line);
  for (rule = NULL; (rule = allowed(policy, MEMLOCK, "any", rule)) != NULL;)
    if (rule->bytes > most) most = rule->bytes;
  if (grant->bytes <= most) return DONE;
  if (most == 0)
    return refuse(DENIED, "locked memory: the policy does not allow it; ask the administrator for the line: allow uid:%u "
                          "memlock %llu", (unsigned)caller.uid, (unsigned long long)grant->bytes);
  return refuse(DENIED, "locked memory: the policy allows %llu bytes and %llu are asked for; give the VM less memory, or "
                        "ask the administrator for the line: allow uid:%u memlock %llu", (unsigned long long)most,
                (unsigned long long)grant->bytes, (unsigned)caller.uid, (unsigned long long)grant->bytes);
}

int raise_memlock(const struct grant *grant) {
  struct rlimit limit;
  rlim_t wanted = (rlim_t)grant->bytes;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
    return refuse(BROKEN, "cannot ask for the limit of locked memory: %s; report this", strerror(errno));
  if (limit.rlim_cur >= wanted) return DONE;
  limit.rlim_cur = wanted;
  if (limit.rlim_max < wanted) limit.rlim_max = wanted;
  if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0) return DONE;
  return refuse(BROKEN, "cannot raise the limit of locked memory: %s; a container without CAP_SYS_RESOURCE forbids it",
                strerror(errno));
}

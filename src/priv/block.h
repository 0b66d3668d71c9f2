/* Block devices: opened for one user alone, as the kernel keeps them. */
#ifndef EZVM_PRIV_BLOCK_H
#define EZVM_PRIV_BLOCK_H

#include <stdbool.h>

#include "policy.h"
#include "request.h"

/* Decides and opens. Looks at nothing on the disk's path before the policy allows the name. */
int open_block(const struct policy *policy, struct grant *grant);
/* Whether the host has claimed the device of this name in /dev: mounted, swap, or part of something larger. */
bool block_in_use(const char *name);

#endif

/* How much memory a program may lock, which VFIO needs for the whole guest. */
#ifndef EZVM_PRIV_MEMLOCK_H
#define EZVM_PRIV_MEMLOCK_H

#include "policy.h"
#include "request.h"

int check_memlock(const struct policy *policy, const struct grant *grant);
int raise_memlock(const struct grant *grant);

#endif

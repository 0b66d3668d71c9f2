/* Taps on bridges. A tap goes when the last of its descriptors is closed. */
#ifndef EZVM_PRIV_TAP_H
#define EZVM_PRIV_TAP_H

#include "policy.h"
#include "request.h"

int check_tap(const struct policy *policy, const struct grant *grant);
/* Makes the tap, puts it on the bridge and opens its queues, and vhost-net's node for each when asked. */
int make_tap(struct grant *grant);

#endif

/* All that a request asks for: decided together, then taken together or not at all. */
#ifndef EZVM_PRIV_GRANTS_H
#define EZVM_PRIV_GRANTS_H

#include "policy.h"
#include "request.h"

/* Decides about the program and every grant and says all that stands in the way. Opens block devices, which is how the
 * kernel decides; changes nothing else. Gives the first refusal's code. */
int decide_grants(const struct policy *policy, struct request *request);
/* After decide_grants(). What was changed is put back when a part of it fails. */
int take_grants(const struct policy *policy, struct request *request);

#endif

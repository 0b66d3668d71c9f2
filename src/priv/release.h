/* `ezvm-priv release`: what was taken for the caller goes back to the host. */
#ifndef EZVM_PRIV_RELEASE_H
#define EZVM_PRIV_RELEASE_H

#include "request.h"

/* All that the caller holds, of one VM or of all; everybody's for root. Nothing to do is no fault. */
int release(const struct request *request);

#endif

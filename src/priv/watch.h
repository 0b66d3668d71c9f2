/* `ezvm-priv release --wait`: stays, with no right of root's, until the VMs have ended, and then calls the helper anew. */
#ifndef EZVM_PRIV_WATCH_H
#define EZVM_PRIV_WATCH_H

#include <stdnoreturn.h>

#include "record.h"
#include "request.h"

/* Has the end of the process that holds a record waited for; one that has ended is no fault. */
int watch_holder(const struct record *record);
/* Becomes the caller, waits for all of them, and becomes a helper that releases. */
noreturn void release_afterwards(const struct request *request);

#endif

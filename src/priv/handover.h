/* The end of `run`: descriptors in their places, and the program in place of the helper. */
#ifndef EZVM_PRIV_HANDOVER_H
#define EZVM_PRIV_HANDOVER_H

#include <stdnoreturn.h>

#include "request.h"

/* Becomes the caller for good and runs the program. */
noreturn void run_program(struct request *request);

#endif

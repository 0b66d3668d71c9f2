/* Processes told apart from others that get their number later. */
#ifndef EZVM_PRIV_PROCESS_H
#define EZVM_PRIV_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* When a process was started, in ticks since boot. False when there is none, or only its remains wait for its parent. */
bool started_at(pid_t pid, uint64_t *ticks);

#endif

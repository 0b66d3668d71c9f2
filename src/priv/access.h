/* Who may open a device node: by an access list, not by owning it, for an owner could let himself in again for ever. */
#ifndef EZVM_PRIV_ACCESS_H
#define EZVM_PRIV_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Lets one user read and write beside those whom the mode lets. `node` may be opened with O_PATH. False with errno. */
bool let_in(int node, uid_t user, mode_t mode);
/* Only those whom the mode lets, from now on. */
bool let_out(int node, mode_t mode);

#endif

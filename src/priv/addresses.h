/* Network addresses of an interface. */
#ifndef EZVM_PRIV_ADDRESSES_H
#define EZVM_PRIV_ADDRESSES_H

#include <stdbool.h>

/* Whether it has one that reaches beyond its own link; also true when the kernel does not say. */
bool has_address(unsigned interface);

#endif

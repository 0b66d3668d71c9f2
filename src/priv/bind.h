/* Taking a PCI device from its driver, and giving it back. */
#ifndef EZVM_PRIV_BIND_H
#define EZVM_PRIV_BIND_H

#include "record.h"

int bind_to_vfio(const char *address);
/* Puts back what the record says; also when only a part of it was done, or somebody has done it already. */
int give_back(const struct taken *taken);
/* Waits a little: drivers may take their devices in the background, and nodes appear after that. */
void pause_shortly(void);
#define PAUSES_MAX 300

#endif

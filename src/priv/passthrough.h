/* PCI devices taken for a VM, group by group, and given back after it. */
#ifndef EZVM_PRIV_PASSTHROUGH_H
#define EZVM_PRIV_PASSTHROUGH_H

#include "pci.h"
#include "record.h"
#include "request.h"

/* Takes every PCI device of a request. `devices` has what is known of each, by the grants' order. When it fails, all is
 * as it was. The records stay locked until this process runs the program. */
int take_pci(const struct policy *policy, struct request *request, const struct pci_device *devices);
/* Gives back what a record says and clears it. */
int release_record(struct record *record);

#endif

/* What the host does with a PCI device now. */
#ifndef EZVM_PRIV_PCI_USE_H
#define EZVM_PRIV_PCI_USE_H

#include "pci.h"

/* Refuses a device that drives a claimed disk, a network card with an address or that other interfaces are built on, or a
 * screen, camera or sound card that a process has open. */
int check_unused(const struct pci_device *device);

#endif

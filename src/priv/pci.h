/* PCI devices as sysfs shows them, and whether one may be taken. */
#ifndef EZVM_PRIV_PCI_H
#define EZVM_PRIV_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"
#include "request.h"

#define DRIVER_ROOM 32
#define GROUP_ROOM 12
#define VFIO_DRIVER "vfio-pci"

struct pci_device {
  char address[PCI_ROOM];
  char driver[DRIVER_ROOM];   /* empty for none */
  char override[DRIVER_ROOM]; /* empty for none */
  char group[GROUP_ROOM];     /* of the IOMMU; empty for none */
  uint32_t vendor, device, class;
  bool is_boot_display;
  uint64_t virtual_functions;
};

/* Opens a device's folder in sysfs; -1 when there is no such device. */
int open_pci(const char *address);
/* False when there is no such device or sysfs says what this program does not understand. */
bool read_pci_device(const char *address, struct pci_device *device);
/* Decides about one device; fills `device`. Changes nothing. */
int check_pci(const struct policy *policy, const struct request *request, const struct grant *grant,
              struct pci_device *device);
/* Whether the rest of its IOMMU group may come along with a device; others may change that until the group is locked. */
int check_group(const struct policy *policy, const struct request *request, const struct pci_device *device);

#endif

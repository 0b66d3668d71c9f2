#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "paths.h"
#include "report.h"

#define PAUSE 10000000 /* nanoseconds */
#define BUS EZVM_PRIV_SYS "/bus/pci"

void pause_shortly(void) {
  struct timespec pause = {.tv_nsec = PAUSE};
  nanosleep(&pause, NULL);
}

static bool is_driver(const char *address, const char *driver) {
  char path[SYSFS_ROOM], name[DRIVER_ROOM];
  snprintf(path, sizeof path, BUS "/devices/%s/driver", address);
  if (!read_link_name(AT_FDCWD, path, name, sizeof name)) name[0] = 0;
  return strcmp(name, driver) == 0;
}

static bool comes_to_driver(const char *address, const char *driver) {
  for (int i = 0; i < PAUSES_MAX; i++) {
    if (is_driver(address, driver)) return true;
    pause_shortly();
  }
  return false;
}

/* Writes into a file of the device; an empty text is written as a line's end, which the kernel takes for none. */
static bool set(const char *address, const char *file, const char *text) {
  char path[SYSFS_ROOM];
  snprintf(path, sizeof path, BUS "/devices/%s/%s", address, file);
  return write_file(AT_FDCWD, path, *text ? text : "\n");
}

static bool unbind(const char *address) {
  return is_driver(address, "") || (set(address, "driver/unbind", address) && comes_to_driver(address, ""));
}

int bind_to_vfio(const char *address) {
  if (is_driver(address, VFIO_DRIVER)) return DONE;
  /* The override is this device's alone; new_id would take its twins as well. */
  if (!set(address, "driver_override", VFIO_DRIVER))
    return refuse(BROKEN, "cannot choose a driver for PCI device %s: %s; see dmesg", address, strerror(errno));
  if (!unbind(address))
    return refuse(BROKEN, "cannot take PCI device %s from its driver: %s; see dmesg", address, strerror(errno));
  bool probed = write_file(AT_FDCWD, BUS "/drivers_probe", address);
  int error = errno;
  if (comes_to_driver(address, VFIO_DRIVER)) return DONE;
  return refuse(BROKEN, "vfio-pci does not take PCI device %s%s%s; see dmesg", address, probed ? "" : ": ",
                probed ? "" : strerror(error));
}

static int give_to_driver(const struct taken *taken) {
  char path[SYSFS_ROOM];
  if (!*taken->driver) return DONE;
  snprintf(path, sizeof path, BUS "/drivers/%s/bind", taken->driver);
  if (write_file(AT_FDCWD, path, taken->address) && comes_to_driver(taken->address, taken->driver)) return DONE;
  (void)write_file(AT_FDCWD, BUS "/drivers_probe", taken->address);
  if (comes_to_driver(taken->address, taken->driver)) return DONE;
  return refuse(BROKEN, "driver %s does not take PCI device %s back; as root, run: modprobe %s, then ezvm-priv release",
                taken->driver, taken->address, taken->driver);
}

int give_back(const struct taken *taken) {
  struct pci_device now;
  int folder = open_pci(taken->address);
  if (folder < 0) return DONE; /* it was unplugged */
  close(folder);
  if (strcmp(taken->driver, VFIO_DRIVER) == 0) return DONE; /* it was VFIO's before */
  if (!read_pci_device(taken->address, &now))
    return refuse(BROKEN, "cannot look at PCI device %s; see dmesg", taken->address);
  if (strcmp(now.override, VFIO_DRIVER) == 0 && !set(taken->address, "driver_override", taken->override))
    return refuse(BROKEN, "cannot choose a driver for PCI device %s: %s; see dmesg", taken->address, strerror(errno));
  if (*now.driver && strcmp(now.driver, VFIO_DRIVER) != 0) return DONE; /* somebody has given it to a driver */
  if (!unbind(taken->address))
    return refuse(BROKEN, "cannot take PCI device %s from vfio-pci: %s; see dmesg", taken->address, strerror(errno));
  return give_to_driver(taken);
}

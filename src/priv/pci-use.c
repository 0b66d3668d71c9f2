#include "pci-use.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "addresses.h"
#include "block.h"
#include "files.h"
#include "network.h"
#include "open-files.h"
#include "paths.h"
#include "report.h"

#define NVIDIA_MAJOR 195
#define NVIDIA_MINORS 254 /* those above are not a card's */
#define NAME_ROOM 256
#define UPPER "upper_"

/* What lies below the device: called for each entry of a class in sysfs. */
typedef int (*visit_entry)(const struct pci_device *device, int class, const char *name, struct nodes *nodes);

static bool is_below(const struct pci_device *device, int class, const char *name) {
  char target[1024], part[PCI_ROOM + 2];
  if (!read_link(class, name, target, sizeof target)) return false;
  snprintf(part, sizeof part, "/%s/", device->address);
  return strstr(target, part) != NULL;
}

static int for_each(const struct pci_device *device, const char *class, visit_entry visit, struct nodes *nodes) {
  char path[SYSFS_ROOM];
  struct listing list;
  int code = DONE;
  snprintf(path, sizeof path, EZVM_PRIV_SYS "/class/%s", class);
  if (!list_start(&list, AT_FDCWD, path)) {
    if (errno == ENOENT) return DONE; /* no driver of this kind is loaded */
    return refuse(BROKEN, "cannot look at %s: %s; see dmesg", path, strerror(errno));
  }
  for (const char *name; code == DONE && (name = list_next(&list)) != NULL;)
    if (is_below(device, list.folder, name)) code = visit(device, list.folder, name, nodes);
  list_end(&list);
  if (code == DONE && list.failed) code = refuse(BROKEN, "cannot look at all of %s; see dmesg", path);
  return code;
}

/* An NVMe disk with several paths is one node, nvme0n1, above hidden ones such as nvme0c1n1, which are below the card. */
static bool name_head(char *name) {
  char *controller = strchr(name, 'c'), *space = controller ? strchr(controller, 'n') : NULL;
  if (!starts_with(name, "nvme") || !space) return false;
  memmove(controller, space, strlen(space) + 1);
  return true;
}

static int visit_disk(const struct pci_device *device, int class, const char *name, struct nodes *nodes) {
  char disk[NAME_ROOM], path[NAME_ROOM + 16], hidden[8];
  (void)nodes;
  snprintf(path, sizeof path, "%s/hidden", name);
  bool fits = copy_text(disk, sizeof disk, name);
  if (read_file(class, path, hidden, sizeof hidden) && strcmp(hidden, "0") != 0) fits = fits && name_head(disk);
  for (char *letter = disk; *letter; letter++)
    if (*letter == '!') *letter = '/'; /* as sysfs writes it */
  if (fits && !block_in_use(disk)) return DONE;
  return refuse(BUSY, "PCI device %s has disk %s, which is in use: mounted, swap or part of LVM, RAID or encryption; "
                      "unmount it first", device->address, disk);
}

/* In sysfs an interface has a link "upper_NAME" for each that is built on it, and "master" besides for a bridge or bond. */
static int check_uppers(const struct pci_device *device, int interfaces, const char *name) {
  struct listing list;
  char path[NAME_ROOM + 16];
  int code = DONE;
  snprintf(path, sizeof path, "%s/master", name);
  if (faccessat(interfaces, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return refuse(BUSY, "PCI device %s is network interface %s, which is part of a bridge, bond or team; take it out first, "
                        "as root: ip link set %s nomaster", device->address, name, name);
  if (!list_start(&list, interfaces, name))
    return refuse(BROKEN, "cannot look at network interface %s of PCI device %s: %s; see dmesg", name, device->address,
                  strerror(errno));
  for (const char *entry; code == DONE && (entry = list_next(&list)) != NULL;)
    if (starts_with(entry, UPPER))
      code = refuse(BUSY, "PCI device %s is network interface %s, which %s is built on (a VLAN, macvtap or the like); stop "
                          "what uses that, and as root run: ip link del %s", device->address, name,
                    entry + sizeof UPPER - 1, entry + sizeof UPPER - 1);
  list_end(&list);
  if (code == DONE && list.failed) code = refuse(BROKEN, "cannot look at all of network interface %s; see dmesg", name);
  return code;
}

static int visit_interface(const struct pci_device *device, int class, const char *name, struct nodes *nodes) {
  struct ifreq request = request_about(name);
  (void)nodes;
  int control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool known = control >= 0 && ioctl(control, SIOCGIFFLAGS, &request) == 0;
  bool up = known && (request.ifr_flags & IFF_UP) != 0;
  if (known) known = ioctl(control, SIOCGIFINDEX, &request) == 0;
  if (control >= 0) close(control);
  if (!known)
    return refuse(BUSY, "PCI device %s is network interface %s, which belongs to another network namespace; call from "
                        "there", device->address, name);
  if (up && has_address((unsigned)request.ifr_ifindex))
    return refuse(BUSY, "PCI device %s is network interface %s, which is up and has an address; as root, run: ip link set "
                        "%s down", device->address, name, name);
  return check_uppers(device, class, name);
}

static int visit_node(const struct pci_device *device, int class, const char *name, struct nodes *nodes) {
  char path[NAME_ROOM + 8];
  (void)device;
  snprintf(path, sizeof path, "%s/dev", name);
  add_node(nodes, class, path);
  return DONE;
}

/* A mixer that is open is no use: sound servers keep every card's open, and give it up. A stream is. */
static int visit_sound(const struct pci_device *device, int class, const char *name, struct nodes *nodes) {
  return starts_with(name, "pcm") ? visit_node(device, class, name, nodes) : DONE;
}

/* NVIDIA's own driver is not to be seen in sysfs' classes. */
static int add_nvidia(const struct pci_device *device, struct nodes *nodes) {
  char path[SYSFS_ROOM], text[4096];
  uint64_t number = UINT64_MAX;
  snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information", device->address);
  char *rest = read_file(AT_FDCWD, path, text, sizeof text) ? strstr(text, "Device Minor:") : NULL;
  if (rest) {
    rest += strcspn(rest, "0123456789");
    rest[strspn(rest, "0123456789")] = 0;
  }
  if (!rest || !read_number(rest, NVIDIA_MINORS - 1, &number))
    return refuse(BUSY, "PCI device %s belongs to NVIDIA's driver, which does not say whether it is in use; have it bound "
                        "to vfio-pci at boot", device->address);
  add_device(nodes, makedev(NVIDIA_MAJOR, (unsigned)number));
  return DONE;
}

int check_unused(const struct pci_device *device) {
  struct nodes nodes = {.count = 0};
  char name[64];
  int code = for_each(device, "block", visit_disk, &nodes);
  if (code == DONE) code = for_each(device, "net", visit_interface, &nodes);
  if (code == DONE) code = for_each(device, "drm", visit_node, &nodes);
  if (code == DONE) code = for_each(device, "video4linux", visit_node, &nodes);
  if (code == DONE) code = for_each(device, "sound", visit_sound, &nodes);
  if (code == DONE && strcmp(device->driver, "nvidia") == 0) code = add_nvidia(device, &nodes);
  if (code != DONE) return code;
  pid_t user = find_user_of(&nodes, name, sizeof name);
  if (user == 0) return DONE;
  if (user < 0)
    return refuse(BUSY, "cannot tell whether a process uses PCI device %s; try again, or have it bound to vfio-pci at boot",
                  device->address);
  return refuse(BUSY, "PCI device %s is in use by %s (process %d); end it, or have the device bound to vfio-pci at boot",
                device->address, name, (int)user);
}

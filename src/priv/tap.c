#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "network.h"
#include "report.h"

#define NAMES "ezvm%d"
#define TUN "/dev/net/tun"
#define VHOST "/dev/vhost-net"

static int open_socket(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

static bool is_bridge(int control, const char *name) {
  struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
  struct ifreq request = request_about(name);
  request.ifr_data = (void *)&info;
  return ioctl(control, SIOCETHTOOL, &request) == 0 && strncmp(info.driver, "bridge", sizeof info.driver) == 0;
}

static int decide(const struct policy *policy, const struct grant *grant) {
  const struct rule *rule = denied(policy, BRIDGE, grant->what);
  if (rule)
    return refuse(DENIED, "bridge %s: line %u of the policy denies it; ask the administrator", grant->what, rule->line);
  const struct rule *without = rule = allowed(policy, BRIDGE, grant->what, NULL);
  while (rule && grant->vhost && !rule->vhost) rule = allowed(policy, BRIDGE, grant->what, rule);
  if (rule) return DONE;
  if (without)
    return refuse(DENIED, "bridge %s: the policy does not allow vhost on it; ask for the tap without, or ask the "
                          "administrator for the line: allow uid:%u bridge %s vhost", grant->what, (unsigned)caller.uid,
                  grant->what);
  return refuse(DENIED, "bridge %s: the policy does not allow it; ask the administrator for the line: allow uid:%u bridge "
                        "%s%s", grant->what, (unsigned)caller.uid, grant->what, grant->vhost ? " vhost" : "");
}

/* Device nodes here have fixed paths that only root can change. */
static int check_node(const char *path, const char *module) {
  struct stat status;
  if (stat(path, &status) == 0 && S_ISCHR(status.st_mode)) return DONE;
  return refuse(ABSENT, "there is no %s; as root, run: modprobe %s", path, module);
}

int check_tap(const struct policy *policy, const struct grant *grant) {
  int code = decide(policy, grant);
  if (code != DONE) return code;
  int control = open_socket();
  if (control < 0) return refuse(BROKEN, "cannot open a socket: %s; report this", strerror(errno));
  struct ifreq request = request_about(grant->what);
  if (ioctl(control, SIOCGIFINDEX, &request) != 0)
    code = refuse(ABSENT, "there is no bridge %s; make it, or check the name with: ip link", grant->what);
  else if (ioctl(control, SIOCGIFNAME, &request) != 0 || strcmp(request.ifr_name, grant->what) != 0)
    code = refuse(DENIED, "bridge %s is another name of %s; ask for it by that", grant->what, request.ifr_name);
  else if (!is_bridge(control, grant->what))
    code = refuse(DENIED, "%s is no bridge of the Linux kernel; name one (see: ip link show type bridge)", grant->what);
  close(control);
  if (code == DONE) code = check_node(TUN, "tun");
  if (code == DONE && grant->vhost) code = check_node(VHOST, "vhost_net");
  return code;
}

static int failed(const struct grant *grant, const char *doing) {
  return refuse(BROKEN, "bridge %s: cannot %s: %s; see dmesg", grant->what, doing, strerror(errno));
}

/* The first queue makes the interface, which the kernel numbers; the others join it by its name. */
static int open_queues(struct grant *grant) {
  struct ifreq request = request_about(NAMES);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (grant->queues > 1) request.ifr_flags |= IFF_MULTI_QUEUE;
  for (unsigned i = 0; i < grant->queues; i++) {
    int queue = grant->handed[i].opened = open(TUN, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (queue < 0) return failed(grant, "open " TUN);
    if (ioctl(queue, TUNSETIFF, &request) != 0) return failed(grant, "make a tap");
    if (i == 0 && ioctl(queue, TUNSETOWNER, (unsigned long)caller.uid) != 0) return failed(grant, "make a tap yours");
    if (!grant->vhost) continue;
    grant->vhosts[i].opened = open(VHOST, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (grant->vhosts[i].opened < 0) return failed(grant, "open " VHOST);
  }
  memcpy(grant->interface, request.ifr_name, sizeof grant->interface);
  return DONE;
}

/* Anybody may open a queue of a tap that has no owner yet and takes more than one, so such a tap is made out of sight. */
static int open_queues_unseen(struct grant *grant) {
  int home = leave_network();
  if (home < 0) return failed(grant, "make a network namespace for its tap");
  int code = open_queues(grant);
  if (code == DONE && !send_interface(grant->interface, home, NAMES)) code = failed(grant, "bring its tap");
  if (!return_to_network(home)) return failed(grant, "come back to its network namespace");
  struct ifreq request = request_about("");
  if (code == DONE && ioctl(grant->handed[0].opened, TUNGETIFF, &request) != 0) code = failed(grant, "ask for the tap's name");
  memcpy(grant->interface, request.ifr_name, sizeof grant->interface);
  return code;
}

static int join_bridge(int control, const struct grant *grant) {
  struct ifreq bridge = request_about(grant->what), tap = request_about(grant->interface);
  if (ioctl(control, SIOCGIFMTU, &bridge) != 0) return failed(grant, "ask for its MTU");
  tap.ifr_mtu = bridge.ifr_mtu;
  if (ioctl(control, SIOCSIFMTU, &tap) != 0) return failed(grant, "set the tap's MTU");
  /* A bridge takes the lowest address of its ports for its own; this one is higher than any real one. */
  tap = request_about(grant->interface);
  if (ioctl(control, SIOCGIFHWADDR, &tap) != 0) return failed(grant, "ask for the tap's address");
  tap.ifr_hwaddr.sa_data[0] = (char)0xfe;
  if (ioctl(control, SIOCSIFHWADDR, &tap) != 0) return failed(grant, "set the tap's address");
  tap = request_about(grant->interface);
  if (ioctl(control, SIOCGIFINDEX, &tap) != 0) return failed(grant, "find the tap");
  bridge.ifr_ifindex = tap.ifr_ifindex;
  if (ioctl(control, SIOCBRADDIF, &bridge) != 0) return failed(grant, "put a tap on it");
  tap = request_about(grant->interface);
  if (ioctl(control, SIOCGIFFLAGS, &tap) != 0) return failed(grant, "ask for the tap's state");
  tap.ifr_flags |= IFF_UP;
  return ioctl(control, SIOCSIFFLAGS, &tap) == 0 ? DONE : failed(grant, "set the tap up");
}

int make_tap(struct grant *grant) {
  int code = grant->queues > 1 ? open_queues_unseen(grant) : open_queues(grant);
  if (code != DONE) return code;
  int control = open_socket();
  if (control < 0) return failed(grant, "open a socket");
  code = join_bridge(control, grant);
  close(control);
  return code;
}

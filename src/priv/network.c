#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "files.h"
#include "text.h"

struct ifreq request_about(const char *interface) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  (void)copy_text(request.ifr_name, sizeof request.ifr_name, interface);
  return request;
}

int leave_network(void) {
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0 || unshare(CLONE_NEWNET) == 0) return home;
  close_keeping_errno(home);
  return -1;
}

/* The kernel answers each request, with 0 for what it has done. */
static bool ask(int kernel, const struct nlmsghdr *request) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char more[512]; /* the request, or what was wrong with it in words */
  } answer;
  if (send(kernel, request, request->nlmsg_len, 0) < 0) return false;
  ssize_t got = recv(kernel, &answer, sizeof answer, 0);
  if (got < 0) return false;
  bool whole = (size_t)got >= NLMSG_LENGTH(sizeof answer.error) && answer.header.nlmsg_type == NLMSG_ERROR;
  errno = whole ? -answer.error.error : EPROTO;
  return errno == 0;
}

bool send_interface(const char *name, int home, const char *pattern) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg message;
    struct rtattr space;
    int32_t space_is;
    struct rtattr name;
    char name_is[IFNAMSIZ];
  } request;
  struct ifreq interface = request_about(name);
  struct timeval patience = {.tv_sec = 10}; /* the kernel waits for all processors */
  memset(&request, 0, sizeof request);
  int kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (kernel < 0) return false;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.space.rta_type = IFLA_NET_NS_FD;
  request.space.rta_len = RTA_LENGTH(sizeof request.space_is);
  request.space_is = home;
  request.name.rta_type = IFLA_IFNAME;
  request.name.rta_len = RTA_LENGTH(sizeof request.name_is);
  (void)copy_text(request.name_is, sizeof request.name_is, pattern);
  setsockopt(kernel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  bool sent = ioctl(kernel, SIOCGIFINDEX, &interface) == 0;
  request.message.ifi_index = interface.ifr_ifindex;
  sent = sent && ask(kernel, &request.header);
  close_keeping_errno(kernel);
  return sent;
}

bool return_to_network(int home) {
  bool back = setns(home, CLONE_NEWNET) == 0;
  close_keeping_errno(home);
  return back;
}

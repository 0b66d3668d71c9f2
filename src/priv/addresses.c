#include "addresses.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static bool read_answers(int kernel, unsigned interface) {
  static union {
    struct nlmsghdr first;
    char bytes[32768];
  } answer;
  for (;;) {
    ssize_t got = recv(kernel, &answer, sizeof answer, MSG_TRUNC);
    if (got <= 0 || (size_t)got > sizeof answer) return true;
    for (size_t at = 0, rest = (size_t)got; rest >= sizeof(struct nlmsghdr); rest = (size_t)got - at) {
      const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(answer.bytes + at);
      if (message->nlmsg_len < sizeof *message || message->nlmsg_len > rest) return true;
      if (message->nlmsg_type == NLMSG_DONE) return false;
      if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifaddrmsg))) return true;
      const struct ifaddrmsg *address = (const struct ifaddrmsg *)(const void *)(message + 1);
      if (address->ifa_index == interface && address->ifa_scope < RT_SCOPE_LINK) return true;
      at += NLMSG_ALIGN(message->nlmsg_len);
      if (at > (size_t)got) return true;
    }
  }
}

bool has_address(unsigned interface) {
  struct {
    struct nlmsghdr header;
    struct ifaddrmsg message;
  } request;
  struct timeval patience = {.tv_sec = 2};
  int kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (kernel < 0) return true;
  memset(&request, 0, sizeof request);
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.message);
  request.header.nlmsg_type = RTM_GETADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  setsockopt(kernel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  bool has = send(kernel, &request, request.header.nlmsg_len, 0) < 0 || read_answers(kernel, interface);
  close(kernel);
  return has;
}

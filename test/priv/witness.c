/* The program that the helper runs in tests: says what it finds itself with, one line each, and tries what it is told.
 *   witness [read:FD:SIZE] [write:FD:TEXT] [reopen:FD] [root] [attach:TAP] [lurk:TAP] [wait] … */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

static void say_descriptors(void) {
  for (int fd = 0; fd < 2048; fd++) {
    char path[64], target[512];
    struct stat status;
    if (fstat(fd, &status)) continue;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = 0;
    printf("fd %d %s %o %u:%u %s\n", fd, S_ISBLK(status.st_mode) ? "block" : S_ISCHR(status.st_mode) ? "char" : "other",
           (unsigned)fcntl(fd, F_GETFL), major(status.st_rdev), minor(status.st_rdev), target);
  }
}

static void say_file(const char *path) {
  char line[70000];
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file)) fputs(line, stdout);
  if (file) fclose(file);
}

static const char *outcome(int result) { return result == 0 ? "done" : strerrorname_np(errno); }

/* Everything that only root may do. */
static void try_root(void) {
  struct rlimit more = {1UL << 40, 1UL << 40};
  printf("try setuid %s\n", outcome(setuid(0)));
  printf("try seteuid %s\n", outcome(seteuid(0)));
  printf("try setgid %s\n", outcome(setgid(0)));
  printf("try setgroups %s\n", outcome(setgroups(0, NULL)));
  printf("try mount %s\n", outcome(mount("none", "/mnt", "tmpfs", 0, NULL)));
  printf("try chroot %s\n", outcome(chroot("/tmp")));
  printf("try unshare %s\n", outcome(unshare(CLONE_NEWNS)));
  printf("try memlock %s\n", outcome(setrlimit(RLIMIT_MEMLOCK, &more)));
  printf("try shadow %s\n", open("/etc/shadow", O_RDONLY) >= 0 ? "done" : strerrorname_np(errno));
  printf("try init %s\n", outcome(kill(1, SIGTERM)));
}

/* Joins a tap as one more queue of it. */
static int attach(const char *interface) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};
  int queue = open("/dev/net/tun", O_RDWR);
  strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
  if (ioctl(queue, TUNSETIFF, &request) == 0) return queue;
  int error = errno;
  close(queue);
  errno = error;
  return -1;
}

/* Joins a tap the moment it can, and keeps it, until standard input ends. */
static void lurk(const char *interface) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  int queue = -1;
  puts("lurks");
  fflush(stdout);
  while (poll(&input, 1, queue < 0 ? 0 : -1) == 0)
    if (queue < 0) queue = attach(interface);
  printf("lurk %s %s\n", interface, queue < 0 ? strerrorname_np(errno) : "done");
}

static void perform(char *action) {
  char *name = strsep(&action, ":"), *first = action ? strsep(&action, ":") : NULL;
  int fd = first ? atoi(first) : -1;
  if (!strcmp(name, "read")) {
    static char buffer[65536] __attribute__((aligned(4096)));
    ssize_t size = pread(fd, buffer, (size_t)atoi(action), 0);
    printf("read %d %s\n", fd, size < 0 ? strerrorname_np(errno) : strndup(buffer, 32));
  } else if (!strcmp(name, "write")) {
    static char buffer[4096] __attribute__((aligned(4096)));
    strcpy(buffer, action);
    printf("write %d %s\n", fd, pwrite(fd, buffer, sizeof buffer, 0) < 0 ? strerrorname_np(errno) : "done");
    fsync(fd);
  } else if (!strcmp(name, "reopen")) {
    char path[64], target[512] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    printf("reopen %d %s\n", fd, open(path, O_RDONLY) >= 0 ? "done" : strerrorname_np(errno));
    if (readlink(path, target, sizeof target - 1) > 0)
      printf("reopen-path %d %s\n", fd, open(target, O_RDONLY) >= 0 ? "done" : strerrorname_np(errno));
  } else if (!strcmp(name, "root")) {
    try_root();
  } else if (!strcmp(name, "node")) {
    printf("node %s %s\n", first, open(first, O_RDWR) >= 0 ? "done" : strerrorname_np(errno));
  } else if (!strcmp(name, "attach")) {
    printf("attach %s %s\n", first, attach(first) >= 0 ? "done" : strerrorname_np(errno));
  } else if (!strcmp(name, "lurk")) {
    lurk(first);
  } else if (!strcmp(name, "chmod")) {
    printf("chmod %s\n", outcome(chmod(first, 0666)));
  } else if (!strcmp(name, "status")) {
    say_file("/proc/self/status");
  } else if (!strcmp(name, "limits")) {
    say_file("/proc/self/limits");
  } else if (!strcmp(name, "environment")) {
    for (char **each = environ; *each; each++) printf("env %.200s\n", *each);
  } else if (!strcmp(name, "descriptors")) {
    say_descriptors();
  } else if (!strcmp(name, "where")) {
    char dir[512];
    struct itimerval timer;
    int dies = 0;
    getitimer(ITIMER_REAL, &timer);
    prctl(PR_GET_PDEATHSIG, &dies, 0, 0, 0);
    printf("cwd %s\ntimer %ld\npdeathsig %d\ndumpable %d\n", getcwd(dir, sizeof dir) ? dir : "?",
           (long)(timer.it_value.tv_sec + timer.it_value.tv_usec), dies, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  } else if (!strcmp(name, "wait")) {
    printf("waits %d\n", getpid());
    fflush(stdout);
    char end;
    while (read(0, &end, 1) < 0 && errno == EINTR) continue;
  }
  fflush(stdout);
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) perform(argv[i]);
  puts("witness ends");
  return 0;
}

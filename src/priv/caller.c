#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "files.h"
#include "report.h"

#define CLOSE_ON_EXEC 4U /* CLOSE_RANGE_CLOEXEC, which old headers lack */
#define SECONDS_AT_MOST 30

struct caller caller;

static mode_t caller_umask;
static sigset_t caller_mask;

/* Set by the caller, each of these could end the helper in the midst of a change. */
static const int RAISED[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_DATA,
                             RLIMIT_STACK, RLIMIT_AS, RLIMIT_RTTIME};
#define RAISED_COUNT (sizeof RAISED / sizeof RAISED[0])
static struct rlimit caller_limits[RAISED_COUNT];

/* Dispositions survive exec, so a caller can hand them over; his pending signals wait behind the mask. */
static const int IGNORED[] = {SIGPIPE, SIGXFSZ};
#define IGNORED_COUNT (sizeof IGNORED / sizeof IGNORED[0])
static struct sigaction caller_actions[IGNORED_COUNT], caller_alarm;

void guard(void) {
  int null;
  do null = open("/dev/null", O_RDWR | O_NOCTTY);
  while (null >= 0 && null <= STDERR_FILENO);
  if (null < 0) _exit(BROKEN);
  close(null);
  if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_ON_EXEC) != 0) _exit(BROKEN);

  static char *none[] = {NULL};
  caller.environment = environ;
  environ = none;
  caller.uid = getuid();
  caller.gid = getgid();
  caller.group_count = getgroups(GROUPS_MAX, caller.groups);
  caller.parent = getppid();
  if (caller.group_count < 0) _exit(BROKEN);

  sigset_t all;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, &caller_mask) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) _exit(BROKEN);
  caller_umask = umask(077);
  for (unsigned i = 0; i < IGNORED_COUNT; i++) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(IGNORED[i], &ignore, &caller_actions[i]);
  }
}

bool caller_is_root(void) { return caller.uid == 0; }

bool caller_in_group(gid_t group) {
  if (group == caller.gid) return true;
  for (int i = 0; i < caller.group_count; i++)
    if (caller.groups[i] == group) return true;
  return false;
}

bool caller_may_run(const char *program) { return faccessat(AT_FDCWD, program, X_OK, 0) == 0; }

/* Within a user namespace uid 0 is somebody's own toy, and so are /etc and /dev. */
static bool in_first_namespace(void) {
  char map[128];
  unsigned field = 0;
  static const char *const WHOLE[] = {"0", "0", "4294967295"};
  if (!read_file(AT_FDCWD, "/proc/self/uid_map", map, sizeof map)) return false;
  char *rest = map;
  for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
    if (!*word) continue;
    if (field == 3 || strcmp(word, WHOLE[field++]) != 0) return false;
  }
  return field == 3;
}

/* An alarm the caller left behind goes; ours ends a helper that hangs on a device, which nobody else may signal. */
static void set_alarm(void) {
  struct itimerval never = {.it_value = {0}}, limit = {.it_value = {.tv_sec = SECONDS_AT_MOST}};
  struct sigaction action = {.sa_handler = SIG_IGN};
  sigset_t only;
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &action, &caller_alarm); /* ignoring drops one that is pending */
  action.sa_handler = SIG_DFL;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &limit, NULL);
  sigemptyset(&only);
  sigaddset(&only, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &only, NULL);
}

static void raise_limits(void) {
  for (unsigned i = 0; i < RAISED_COUNT; i++) {
    rlim_t most = RAISED[i] == RLIMIT_NOFILE ? 1024 : RLIM_INFINITY;
    if (getrlimit((unsigned)RAISED[i], &caller_limits[i]) != 0) continue;
    struct rlimit wanted = caller_limits[i];
    if (wanted.rlim_max < most) wanted.rlim_max = most;
    if (wanted.rlim_cur < most) wanted.rlim_cur = most;
    if (setrlimit((unsigned)RAISED[i], &wanted) == 0) continue;
    wanted.rlim_cur = wanted.rlim_max = caller_limits[i].rlim_max; /* root without CAP_SYS_RESOURCE, in a container */
    (void)setrlimit((unsigned)RAISED[i], &wanted);
  }
}

int become_root(void) {
  if (geteuid() != 0)
    return refuse(BROKEN, "not running as root; install the helper with `ezvm setup helper`, on a file system mounted "
                          "without nosuid, and start it outside of sandboxes (Flatpak, Snap, no_new_privs)");
  if (!in_first_namespace())
    return refuse(DENIED, "called inside a user namespace, where root is not this machine's root; "
                          "start it outside of unshare, rootless containers and sandboxes");
  /* The real uid too, so that the caller can neither signal nor slow down nor look into what follows. */
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
    return refuse(BROKEN, "cannot become root: %s; install the helper with `ezvm setup helper`", strerror(errno));
  set_alarm();
  raise_limits();
  return DONE;
}

static bool capabilities_are_none(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  memset(sets, 0xff, sizeof sets);
  if (syscall(SYS_capget, &header, sets) != 0) return false;
  for (unsigned i = 0; i < 2; i++)
    if (sets[i].effective | sets[i].permitted | sets[i].inheritable) return false;
  for (unsigned long capability = 0; capability < 64; capability++)
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1) return false;
  return true;
}

static bool bounding_set_is_empty(void) {
  for (unsigned long capability = 0; capability < 64; capability++)
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) return false;
  return true;
}

static bool ids_are_callers(void) {
  static gid_t groups[GROUPS_MAX];
  uid_t uids[3];
  gid_t gids[3];
  if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || getresgid(&gids[0], &gids[1], &gids[2]) != 0) return false;
  for (unsigned i = 0; i < 3; i++)
    if (uids[i] != caller.uid || gids[i] != caller.gid) return false;
  if ((uid_t)setfsuid((uid_t)-1) != caller.uid || (gid_t)setfsgid((gid_t)-1) != caller.gid) return false;
  if (getgroups(GROUPS_MAX, groups) != caller.group_count) return false;
  return memcmp(groups, caller.groups, (size_t)caller.group_count * sizeof groups[0]) == 0;
}

static bool stays_callers(void) {
  return setuid(0) != 0 && seteuid(0) != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) != 0 &&
         (caller.gid == 0 || setgid(0) != 0);
}

int step_down(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
      setresgid(caller.gid, caller.gid, caller.gid) != 0 || setresuid(caller.uid, caller.uid, caller.uid) != 0 ||
      syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return refuse(BROKEN, "cannot give up root's rights: %s; report this", strerror(errno));
  if (caller.uid == 0 || !ids_are_callers() || !capabilities_are_none() || !stays_callers())
    return refuse(BROKEN, "root's rights were given up and are not gone; nothing is started; report this");
  return DONE;
}

int become_caller(void) {
  for (unsigned long capability = 0; capability < 64; capability++)
    if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
      return refuse(BROKEN, "cannot give up capability %lu: %s; report this", capability, strerror(errno));
  int code = step_down();
  if (code != DONE) return code;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
      !bounding_set_is_empty())
    return refuse(BROKEN, "rights can still be gained; nothing is started; report this");
  return DONE;
}

void restore_caller(void) {
  struct itimerval never = {.it_value = {0}};
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &caller_alarm, NULL);
  for (unsigned i = 0; i < RAISED_COUNT; i++) (void)setrlimit((unsigned)RAISED[i], &caller_limits[i]);
  for (unsigned i = 0; i < IGNORED_COUNT; i++) sigaction(IGNORED[i], &caller_actions[i], NULL);
  umask(caller_umask);
  sigprocmask(SIG_SETMASK, &caller_mask, NULL);
}

bool leave_everything(void) {
  (void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0U);
  if (setresgid(caller.gid, caller.gid, caller.gid) != 0 || setresuid(caller.uid, caller.uid, caller.uid) != 0)
    return false;
  /* Now the caller may end it, should his end of a pipe not be read. */
  sigprocmask(SIG_SETMASK, &caller_mask, NULL);
  return true;
}

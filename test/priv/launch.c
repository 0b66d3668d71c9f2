/* Starts a program as a hostile caller would: launch ACTION… -- PROGRAM ARG…
 * Actions happen in order; each is NAME or NAME:VALUE, as the list below reads them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *arguments[200000];
static int count;

static void fail(const char *what) {
  fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
  exit(99);
}

static char *text_of(size_t size) {
  char *text = malloc(size + 1);
  if (!text) fail("malloc");
  memset(text, 'A', size);
  text[size] = 0;
  return text;
}

static void become(char *value) { /* UID,GID[,GROUP…] */
  gid_t groups[64];
  size_t size = 0;
  uid_t uid = (uid_t)strtoul(strsep(&value, ","), NULL, 10);
  gid_t gid = (gid_t)strtoul(strsep(&value, ","), NULL, 10);
  while (value && size < 64) groups[size++] = (gid_t)strtoul(strsep(&value, ","), NULL, 10);
  if (setgroups(size, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) fail("become");
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as after a login: /proc/self is the user's */
}

static void limit(char *value) { /* RESOURCE,LIMIT or RESOURCE,SOFT,HARD */
  int resource = atoi(strsep(&value, ","));
  rlim_t soft = strtoull(strsep(&value, ","), NULL, 10), hard = value ? strtoull(value, NULL, 10) : soft;
  struct rlimit limits = {soft, hard};
  if (setrlimit((unsigned)resource, &limits)) fail("limit");
}

static void put(const char *path, const char *text) {
  int file = open(path, O_WRONLY);
  if (file < 0 || write(file, text, strlen(text)) < 0) fail(path);
  close(file);
}

static void enter_namespace(const char *inner) { /* the caller is uid `inner` in there */
  char map[64];
  uid_t uid = getuid();
  gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS)) fail("unshare");
  put("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%s %u 1", inner, uid);
  put("/proc/self/uid_map", map);
  snprintf(map, sizeof map, "%s %u 1", inner, gid);
  put("/proc/self/gid_map", map);
}

static void on_all_signals(void (*disposition)(int)) {
  for (int each = 1; each < 32; each++) signal(each, disposition);
}

/* A child of the same user that signals the program as long as it lives, and the program it becomes; at once, or as
 * soon as the program is nobody’s whom it may signal. */
static void storm(int at_once) {
  static const int SIGNALS[] = {SIGTERM, SIGSTOP, SIGCONT, SIGINT, SIGHUP, SIGSEGV, SIGALRM, SIGXFSZ, SIGTSTP, SIGUSR1};
  pid_t target = getpid();
  int refused = 0, out = dup(3);
  if (fork() != 0) return;
  while (!at_once && getppid() == target && kill(target, 0) == 0) continue;
  for (int i = 0; i < 100000 && getppid() == target; i++) {
    if (kill(target, SIGNALS[(size_t)i % (sizeof SIGNALS / sizeof SIGNALS[0])]) != 0 && errno == EPERM) refused++;
    if (i % 10 == 0) kill(target, SIGCONT);
    if (i % 100 == 0) usleep(100);
  }
  dprintf(out, "%d", refused);
  _exit(0);
}

static void trace(void) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    return;
  }
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, 0, 0);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void open_at(char *value) { /* FD,FLAGS,PATH */
  int wanted = atoi(strsep(&value, ",")), flags = atoi(strsep(&value, ","));
  int file = open(value, flags, 0600);
  if (file < 0 || (file != wanted && (dup2(file, wanted) < 0 || close(file)))) fail(value);
}

static void perform(const char *name, char *value) {
  if (!strcmp(name, "become")) become(value);
  else if (!strcmp(name, "close")) close(atoi(value));
  else if (!strcmp(name, "limit")) limit(value);
  else if (!strcmp(name, "umask")) umask((mode_t)strtoul(value, NULL, 8));
  else if (!strcmp(name, "ignore")) on_all_signals(SIG_IGN);
  else if (!strcmp(name, "mask")) { sigset_t all; sigfillset(&all); sigprocmask(SIG_SETMASK, &all, NULL); }
  else if (!strcmp(name, "raise")) raise(atoi(value));
  else if (!strcmp(name, "alarm")) { struct itimerval t = {{0, 0}, {0, atoi(value)}}; setitimer(ITIMER_REAL, &t, NULL); }
  else if (!strcmp(name, "profile")) { struct itimerval t = {{0, 100}, {0, 100}}; setitimer(ITIMER_PROF, &t, NULL); setitimer(ITIMER_VIRTUAL, &t, NULL); }
  else if (!strcmp(name, "nnp")) { if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail("nnp"); }
  else if (!strcmp(name, "death")) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  else if (!strcmp(name, "userns")) enter_namespace(value);
  else if (!strcmp(name, "cd")) { if (chdir(value)) fail("cd"); }
  else if (!strcmp(name, "gone")) { char dir[] = "/tmp/launch-XXXXXX"; if (!mkdtemp(dir) || chdir(dir) || rmdir(dir)) fail("gone"); }
  else if (!strcmp(name, "noenv")) { static char *none[] = {NULL}; environ = none; }
  else if (!strcmp(name, "env")) putenv(value);
  else if (!strcmp(name, "bigenv")) { char *text = text_of((size_t)atoi(value)); memcpy(text, "B=", 2); putenv(text); }
  else if (!strcmp(name, "open")) open_at(value);
  else if (!strcmp(name, "nice")) { if (nice(atoi(value)) == -1 && errno) fail("nice"); }
  else if (!strcmp(name, "idle")) { struct sched_param p = {0}; sched_setscheduler(0, SCHED_IDLE, &p); }
  else if (!strcmp(name, "session")) setsid();
  else if (!strcmp(name, "storm")) storm(value == NULL);
  else if (!strcmp(name, "trace")) trace();
  else if (!strcmp(name, "argc0")) count = -1;
  else if (!strcmp(name, "fill")) { while (open("/dev/null", O_RDWR) >= 0) continue; }
  else fail(name);
}

int main(int argc, char **argv) {
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    char *value = strdup(argv[i]), *name = strsep(&value, ":");
    perform(name, value);
  }
  if (++i >= argc) fail("no program");
  char *program = argv[i];
  if (count < 0) {
    count = 0;
  } else {
    for (; i < argc; i++) {
      /* @times:N repeats the next argument, @long:N stands for one of N letters */
      if (!strncmp(argv[i], "@times:", 7)) {
        for (int n = atoi(argv[i] + 7); n > 1 && i + 1 < argc; n--) arguments[count++] = argv[i + 1];
      } else if (!strncmp(argv[i], "@long:", 6)) {
        arguments[count++] = text_of((size_t)atoi(argv[i] + 6));
      } else {
        arguments[count++] = argv[i];
      }
    }
  }
  arguments[count] = NULL;
  execve(program, arguments, environ);
  fail(program);
}

#include "report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "caller.h"
#include "paths.h"

#define LINE_ROOM 640

static const char *verb_now = "-", *vm_now = "-", *grant_now;
static bool answers;
static bool log_failed;

static char out[32768], errors[32768];
static size_t out_used, errors_used;

void report_for(const char *verb, const char *vm) {
  verb_now = verb;
  vm_now = vm ? vm : "-";
}

void report_about(const char *grant) { grant_now = grant; }

void refusals_are_answers(void) { answers = true; }

/* Names come from the caller and from other people's processes: no terminal and no log may take a byte for a command. */
static void make_printable(char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e) *text = '?';
}

/* One line, fit for terminals and logs, in LINE_ROOM bytes. */
__attribute__((format(printf, 2, 0))) static void compose(char *line, const char *format, va_list list) {
  vsnprintf(line, LINE_ROOM, format, list);
  make_printable(line);
}

static void keep(char *buffer, size_t room, size_t *used, const char *before, const char *text) {
  int size = snprintf(buffer + *used, room - *used, "%s%s\n", before, text);
  if (size > 0 && (size_t)size < room - *used)
    *used += (size_t)size;
  else
    buffer[*used] = 0; /* only whole lines */
}

static void log_line(int priority, const char *what, const char *text) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  _Static_assert(sizeof EZVM_PRIV_LOG <= sizeof address.sun_path, "the log's path is too long for a socket");
  struct timeval patience = {.tv_sec = 1};
  char line[LINE_ROOM + 256];
  int size = snprintf(line, sizeof line, "<%d>ezvm-priv[%d]: uid=%u gid=%u vm=%s %s: %s%s", LOG_AUTHPRIV | priority,
                      (int)getpid(), (unsigned)caller.uid, (unsigned)caller.gid, vm_now, verb_now, what, text);
  if (size < 0) return;
  if ((size_t)size >= sizeof line) size = sizeof line - 1;
  memcpy(address.sun_path, EZVM_PRIV_LOG, sizeof EZVM_PRIV_LOG);
  int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (log < 0) {
    log_failed = true;
    return;
  }
  setsockopt(log, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (sendto(log, line, (size_t)size, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) < 0) log_failed = true;
  close(log);
}

int refuse(int code, const char *format, ...) {
  char text[LINE_ROOM], start[PATH_MAX];
  va_list list;
  va_start(list, format);
  compose(text, format, list);
  va_end(list);
  log_line(LOG_WARNING, "refused: ", text);
  if (answers && grant_now) {
    snprintf(start, sizeof start, "refused\t%s\t%d\t", grant_now, code);
    keep(out, sizeof out, &out_used, start, text);
  } else {
    keep(errors, sizeof errors, &errors_used, "ezvm-priv: ", text);
  }
  return code;
}

void warn(const char *format, ...) {
  char text[LINE_ROOM];
  va_list list;
  va_start(list, format);
  compose(text, format, list);
  va_end(list);
  keep(errors, sizeof errors, &errors_used, "ezvm-priv: warning: ", text);
}

void say(const char *format, ...) {
  char text[LINE_ROOM];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  keep(out, sizeof out, &out_used, "", text);
}

void audit(const char *format, ...) {
  char text[LINE_ROOM];
  va_list list;
  va_start(list, format);
  compose(text, format, list);
  va_end(list);
  log_line(LOG_NOTICE, "", text);
}

static void write_all(int descriptor, const char *text, size_t size) {
  while (size > 0) {
    ssize_t written = write(descriptor, text, size);
    if (written <= 0) return;
    text += written;
    size -= (size_t)written;
  }
}

void tell(void) {
  if (log_failed)
    warn("the system's log takes no messages at " EZVM_PRIV_LOG ", so this is not recorded there; "
         "start syslog or systemd-journald");
  log_failed = false;
  write_all(STDOUT_FILENO, out, out_used);
  write_all(STDERR_FILENO, errors, errors_used);
  out_used = errors_used = 0;
}

void finish(int code) {
  /* Locks go first: a caller who does not read what is written here must not hold them. */
  if (leave_everything()) tell();
  _exit(code);
}

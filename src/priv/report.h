/* What is told to the caller and to the system's log. Nothing is written to the caller's descriptors before the end,
 * when all privileges are gone: a descriptor may be anything, and some files look at who writes. */
#ifndef EZVM_PRIV_REPORT_H
#define EZVM_PRIV_REPORT_H

#include <stdnoreturn.h>

/* Exit codes, after sysexits.h; docs/helper.md promises them. */
enum code {
  DONE = 0,
  USAGE = 64,      /* the command line cannot be understood */
  ABSENT = 69,     /* something that the machine should have is not there */
  BROKEN = 71,     /* the system refused what should have worked */
  BUSY = 75,       /* in use; later it may work */
  DENIED = 77,     /* the policy does not allow it, or it is never allowed */
  BAD_POLICY = 78, /* the policy file cannot be used */
  NOT_RUN = 126,   /* the program cannot be run */
  NOT_FOUND = 127, /* there is no such program */
};

/* Who and what the lines of the log are about. Both stay where they are; NULL for none. */
void report_for(const char *verb, const char *vm);
/* The grant that the following refusals are about, as it was typed; NULL for none. */
void report_about(const char *grant);

/* Keeps one sentence for the caller, tells the log, and returns `code`. */
__attribute__((format(printf, 2, 3))) int refuse(int code, const char *format, ...);
/* Keeps a sentence that refuses nothing. */
__attribute__((format(printf, 1, 2))) void warn(const char *format, ...);
/* Keeps one line for standard output. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* Tells the system's log. */
__attribute__((format(printf, 1, 2))) void audit(const char *format, ...);

/* Writes what was kept. Only to be called once the caller's own rights are in force. */
void tell(void);
/* `check` lists its refusals on standard output, by grant, instead of on standard error. */
void refusals_are_answers(void);
/* Gives up every privilege and lock, writes what was kept, and exits. */
noreturn void finish(int code);

#endif

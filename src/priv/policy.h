/* The administrator's policy: who may use what. docs/helper.md describes the file. */
#ifndef EZVM_PRIV_POLICY_H
#define EZVM_PRIV_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define POLICY_SIZE_MAX 65536
#define RULES_MAX 256

enum kind { PROGRAM, BLOCK, BRIDGE, PCI, MEMLOCK };

struct rule {
  enum kind kind;
  unsigned line;
  bool deny;
  bool concerns; /* whether its subject is this caller */
  bool writable, vhost, bind, boot_display;
  uint32_t vendor, device;
  uint64_t bytes;
  char what[PATH_ROOM]; /* a path, a pattern, a bridge or a PCI address */
};

struct policy {
  unsigned count;
  unsigned unknown_line; /* the first line that allows somebody who does not exist; 0 for none */
  struct rule rules[RULES_MAX];
};

/* Opens, checks and reads the file. All its faults are refused at once. */
int load_policy(struct policy *policy);
/* The same for a text of `size` bytes, which is changed, with a NUL after it. */
int read_policy(struct policy *policy, char *text, size_t size);
/* The first rule for the caller that denies `what`; NULL for none. */
const struct rule *denied(const struct policy *policy, enum kind kind, const char *what);
/* The next rule for the caller after `last`, NULL to begin, that allows `what`. */
const struct rule *allowed(const struct policy *policy, enum kind kind, const char *what, const struct rule *last);
const char *kind_name(enum kind kind);

#endif

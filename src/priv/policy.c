#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "files.h"
#include "names.h"
#include "paths.h"
#include "report.h"

#define WORDS_MAX 8
#define FAULTS_MAX 16
#define DEV "/dev/"

static const char *const KINDS[] = {"program", "block", "bridge", "pci", "memlock"};
#define KINDS_COUNT (sizeof KINDS / sizeof KINDS[0])

const char *kind_name(enum kind kind) { return KINDS[kind]; }

static int fault(unsigned line, const char *why) {
  return refuse(BAD_POLICY, "policy " EZVM_PRIV_POLICY " line %u: %s", line, why);
}

static int read_subject(struct policy *policy, struct rule *rule, const char *subject) {
  uint64_t id;
  uint32_t named;
  const char *colon = strchr(subject, ':');
  if (strcmp(subject, "any") == 0) {
    rule->concerns = true;
    return DONE;
  }
  bool by_user = starts_with(subject, "user:") || starts_with(subject, "uid:");
  bool by_name = starts_with(subject, "user:") || starts_with(subject, "group:");
  if (!colon || !(by_user || by_name || starts_with(subject, "gid:")))
    return fault(rule->line, "who it is for is any, user:NAME, uid:NUMBER, group:NAME or gid:NUMBER");
  if (!by_name) {
    if (!read_number(colon + 1, UINT32_MAX - 1, &id)) return fault(rule->line, "the id is no number");
  } else if (by_user ? find_user(colon + 1, &named) : find_group(colon + 1, &named)) {
    id = named;
  } else if (rule->deny) {
    return fault(rule->line, "denies somebody whom /etc/passwd and /etc/group do not know; write uid:NUMBER or "
                             "gid:NUMBER, or take the line out");
  } else {
    if (policy->unknown_line == 0) policy->unknown_line = rule->line;
    return DONE;
  }
  rule->concerns = by_user ? id == caller.uid : caller_in_group((gid_t)id);
  return DONE;
}

static bool is_bridge_pattern(const char *text) {
  size_t length = strlen(text);
  return length > 0 && length < IFNAMSIZ &&
         strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-*?") == length;
}

static bool is_pci_pattern(const char *text) {
  size_t length = strlen(text);
  return length > 0 && length < PCI_ROOM && strspn(text, "0123456789abcdef:.*?") == length;
}

static int read_what(struct rule *rule, const char *what) {
  if (!copy_text(rule->what, sizeof rule->what, what)) return fault(rule->line, "what it is about is too long");
  switch (rule->kind) {
    case PROGRAM:
      if (!is_plain_pattern(what)) return fault(rule->line, "a program is an absolute path of plain characters");
      return DONE;
    case BLOCK:
      if (!is_plain_pattern(what) || !starts_with(what, DEV))
        return fault(rule->line, "a block device is a path below /dev, of plain characters, with * and ? as patterns");
      return DONE;
    case BRIDGE:
      if (!is_bridge_pattern(what)) return fault(rule->line, "a bridge is an interface's name, with * and ? as patterns");
      return DONE;
    case PCI:
      if (rule->deny ? !is_pci_pattern(what) : !is_pci_address(what))
        return fault(rule->line, "a PCI device is its address, such as 0000:01:00.0, in lower case");
      return DONE;
    case MEMLOCK:
      if (rule->deny ? strcmp(what, "*") != 0 : !read_size(what, &rule->bytes))
        return fault(rule->line, rule->deny ? "write deny … memlock *" : "locked memory is a size, such as 18G");
      return DONE;
  }
  return fault(rule->line, "unknown kind");
}

static bool read_id(struct rule *rule, const char *word) {
  return strlen(word) == 9 && read_hex(word, 4, &rule->vendor) && word[4] == ':' &&
         read_hex(word + 5, 4, &rule->device);
}

static int read_options(struct rule *rule, char *const *words, unsigned count) {
  if (rule->deny)
    return count == 0 ? DONE : fault(rule->line, "a line that denies ends with what it is about; take the rest out");
  if (rule->kind == BLOCK) {
    if (count != 1 || (strcmp(words[0], "ro") != 0 && strcmp(words[0], "rw") != 0))
      return fault(rule->line, "a block device is followed by ro or rw and nothing else");
    rule->writable = strcmp(words[0], "rw") == 0;
    return DONE;
  }
  unsigned first = 0;
  if (rule->kind == PCI) {
    if (count == 0 || !read_id(rule, words[0]))
      return fault(rule->line, "a PCI device's address is followed by its ids, such as 10de:2684; lspci -nn shows them");
    first = 1;
  }
  for (unsigned i = first; i < count; i++) {
    bool *option = NULL;
    if (rule->kind == BRIDGE && strcmp(words[i], "vhost") == 0) option = &rule->vhost;
    if (rule->kind == PCI && strcmp(words[i], "bind") == 0) option = &rule->bind;
    if (rule->kind == PCI && strcmp(words[i], "boot-display") == 0) option = &rule->boot_display;
    if (!option || *option) return fault(rule->line, "has a word at its end that is unknown there or said twice");
    *option = true;
  }
  return DONE;
}

static int read_rule(struct policy *policy, struct rule *rule, char *const *words, unsigned count) {
  rule->deny = strcmp(words[0], "deny") == 0;
  if (!rule->deny && strcmp(words[0], "allow") != 0) return fault(rule->line, "starts with neither allow nor deny");
  if (count < 4) return fault(rule->line, "is too short; write: allow|deny WHO KIND WHAT, and options");
  unsigned kind = 0;
  while (kind < KINDS_COUNT && strcmp(words[2], KINDS[kind]) != 0) kind++;
  if (kind == KINDS_COUNT) return fault(rule->line, "the kind is program, block, bridge, pci or memlock");
  rule->kind = (enum kind)kind;
  int code = read_subject(policy, rule, words[1]);
  if (code == DONE) code = read_what(rule, words[3]);
  if (code == DONE) code = read_options(rule, words + 4, count - 4);
  return code;
}

/* Cuts a line into words at blanks; a word that begins with # ends it. More than `max` words count as max + 1. */
static unsigned split(char *line, char **words, unsigned max) {
  unsigned count = 0;
  for (char *word; (word = strsep(&line, " \t")) != NULL;) {
    if (!*word) continue;
    if (*word == '#') break;
    if (count == max) return max + 1;
    words[count++] = word;
  }
  return count;
}

static bool has_control(const char *line) {
  for (; *line; line++)
    if ((unsigned char)*line < 0x20 && *line != '\t') return true;
  return false;
}

int read_policy(struct policy *policy, char *text, size_t size) {
  int worst = DONE;
  unsigned faults = 0;
  char *words[WORDS_MAX], *rest = text;
  memset(policy, 0, sizeof *policy);
  if (strlen(text) != size)
    return refuse(BAD_POLICY, "policy " EZVM_PRIV_POLICY " has NUL bytes; write it as plain text");
  for (unsigned line = 1; rest && faults < FAULTS_MAX; line++) {
    char *start = strsep(&rest, "\n");
    int code = DONE;
    struct rule rule = {.line = line};
    unsigned count = 0;
    if (has_control(start)) {
      code = fault(line, "has control characters; end lines as Unix does");
    } else if ((count = split(start, words, WORDS_MAX)) > WORDS_MAX) {
      code = fault(line, "has too many words");
    } else if (count > 0 && policy->count == RULES_MAX) {
      code = fault(line, "is one rule too many; 256 are read");
      rest = NULL;
    } else if (count > 0 && (code = read_rule(policy, &rule, words, count)) == DONE) {
      policy->rules[policy->count++] = rule;
    }
    if (code != DONE) {
      worst = code;
      faults++;
    }
  }
  if (worst != DONE) policy->count = 0;
  return worst;
}

int load_policy(struct policy *policy) {
  static char text[POLICY_SIZE_MAX + 1];
  struct stat status;
  int file = -1;
  int code = open_roots(EZVM_PRIV_POLICY, O_RDONLY | O_NONBLOCK | O_NOCTTY, "policy", BAD_POLICY, &file);
  if (code != DONE) return code;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1) {
    close(file);
    return refuse(BAD_POLICY, "policy " EZVM_PRIV_POLICY " is not a plain file with one name; write it anew as one");
  }
  size_t size = 0;
  ssize_t got = 0;
  while (size < sizeof text && (got = read(file, text + size, sizeof text - size)) > 0) size += (size_t)got;
  close(file);
  if (got < 0) return refuse(BAD_POLICY, "cannot read policy " EZVM_PRIV_POLICY ": %s; see dmesg", strerror(errno));
  if (size > POLICY_SIZE_MAX)
    return refuse(BAD_POLICY, "policy " EZVM_PRIV_POLICY " is larger than 64 KiB; use patterns or drop comments");
  text[size] = 0;
  return read_policy(policy, text, size);
}

const struct rule *denied(const struct policy *policy, enum kind kind, const char *what) {
  for (unsigned i = 0; i < policy->count; i++) {
    const struct rule *rule = &policy->rules[i];
    if (rule->deny && rule->concerns && rule->kind == kind && matches(rule->what, what)) return rule;
  }
  return NULL;
}

const struct rule *allowed(const struct policy *policy, enum kind kind, const char *what, const struct rule *last) {
  for (const struct rule *rule = last ? last + 1 : policy->rules; rule < policy->rules + policy->count; rule++)
    if (!rule->deny && rule->concerns && rule->kind == kind && (kind == MEMLOCK || matches(rule->what, what)))
      return rule;
  return NULL;
}

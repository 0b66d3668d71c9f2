/* What the caller asks for: the command line, checked for form and for nothing else. */
#ifndef EZVM_PRIV_REQUEST_H
#define EZVM_PRIV_REQUEST_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy.h"
#include "text.h"

#define ARGUMENTS_MAX 4096
#define OPTION_ROOM 512
#define GRANTS_MAX 32
#define QUEUES_MAX 16
/* The numbers a caller may have descriptors under in the program; the helper's own are moved above them first. */
#define DESCRIPTOR_MIN 3
#define DESCRIPTOR_MAX 255
#define VM_ROOM 65

enum verb { RUN, CHECK, RELEASE, VERSION, HELP };

/* A descriptor that is to be handed over: where it is wanted, and what is open for it. */
struct handed {
  int wanted, opened;
};

struct grant {
  enum kind kind;
  char typed[OPTION_ROOM]; /* the whole option */
  char what[PATH_ROOM];    /* the path, bridge or address */
  bool writable, direct;   /* block */
  dev_t device;            /* block: what was opened */
  unsigned queues;         /* tap */
  bool vhost;
  char interface[IFNAMSIZ];
  struct handed handed[QUEUES_MAX]; /* block and PCI use the first; PCI none at all when its group's node is granted */
  struct handed vhosts[QUEUES_MAX];
  uint64_t bytes; /* memlock */
};

struct request {
  enum verb verb;
  char vm[VM_ROOM];
  bool has_vm;
  unsigned count;
  struct grant grants[GRANTS_MAX];
  struct handed iommu; /* wanted is -1 for the old way, by the group's node */
  bool keep[DESCRIPTOR_MAX + 1];
  bool die_with_parent;
  bool wait; /* release */
  char **program; /* and its arguments; NULL for none */
};

int read_request(struct request *request, int argc, char **argv);
bool wants_pci(const struct request *request, const char *address);

extern const char USAGE_TEXT[];

#endif

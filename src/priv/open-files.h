/* Which process has a device node open. */
#ifndef EZVM_PRIV_OPEN_FILES_H
#define EZVM_PRIV_OPEN_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#define NODES_MAX 64

struct nodes {
  unsigned count;
  bool too_many;
  dev_t devices[NODES_MAX];
};

/* Adds a character device that sysfs names as MAJOR:MINOR in the file `dev` of `folder`; nothing when there is none. */
void add_node(struct nodes *nodes, int folder, const char *file);
void add_device(struct nodes *nodes, dev_t device);
/* The first process found, and its name; 0 for none, -1 when not all could be looked at. */
pid_t find_user_of(const struct nodes *nodes, char *name, size_t room);

#endif

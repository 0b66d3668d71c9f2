/* What was taken from the host and for whom, kept in root's own folder until it is given back: one file for each IOMMU
 * group, which is also its lock. Written before a change, so that whatever ends the helper or QEMU can be put right. */
#ifndef EZVM_PRIV_RECORD_H
#define EZVM_PRIV_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pci.h"
#include "request.h"

/* One write of a page is whole or not at all, even when the writer is killed. */
#define RECORD_SIZE 4096

struct taken {
  char address[PCI_ROOM];
  char driver[DRIVER_ROOM], override[DRIVER_ROOM]; /* what the host had; empty for none */
};

struct record {
  int file; /* open and locked; -1 when not */
  char group[GROUP_ROOM];
  bool held; /* whether the following say anything */
  uid_t uid;
  char vm[VM_ROOM];
  pid_t pid;
  uint64_t started;
  bool node_given; /* the caller was let into the group's node in /dev, which had this mode */
  mode_t node_mode;
  unsigned count;
  struct taken taken[GRANTS_MAX];
};

/* The folder of all records, made when it is not there. */
int open_records(int *folder);
/* Locks and reads one. */
int open_record(int folder, const char *group, struct record *record);
/* Reads one without its lock, to see whose it is. False when there is none or it says nothing. */
bool peek_record(int folder, const char *name, struct record *record);
int write_record(struct record *record);
/* Nobody holds the group from now on. */
int clear_record(struct record *record);
void close_record(struct record *record);
/* Whether the process that got the group still runs. */
bool holder_runs(const struct record *record);
/* NULL when it is not in there. */
struct taken *find_taken(struct record *record, const char *address);

#endif
